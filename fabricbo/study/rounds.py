"""What is decided at the borders of rounds: seeds at their start, the pool's growth at their end.

Pure functions of what is stored, so that a study that was killed decides the same again.
"""

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fabricbo.best import shares_won
from fabricbo.records import Role, Trial
from fabricbo.scores import Measure, Preference


def round_seeds(study_seed: int, index: int, images: int) -> tuple[int, ...]:
    """Return the seeds common to all trials of a round."""
    return _seeds(f"round {index} of {study_seed}", images)


def heldout_seeds(
    study_seed: int, rounds: int, images: int, count: int, drawn: Iterable[int] = ()
) -> tuple[int, ...]:
    """Return seeds that no round of the study draws with.

    Args:
        study_seed: that of the study.
        rounds: how many are planned.
        images: how many seeds a round has.
        count: how many are wanted.
        drawn: seeds of rounds that were taken over from a study with another seed.
    """
    seen = {s for i in range(1, rounds + 1) for s in round_seeds(study_seed, i, images)}
    seen.update(drawn)
    candidates = _seeds(f"held out of {study_seed}", count + len(seen))
    return tuple(seed for seed in candidates if seed not in seen)[:count]


def _seeds(name: str, count: int) -> tuple[int, ...]:
    rng = random.Random(name)
    return tuple(rng.sample(range(2**32), count))


@dataclass(frozen=True, slots=True)
class Growth:
    """Identities of images that join the pool."""

    liked: tuple[str, ...]
    disliked: tuple[str, ...]


def growth(
    trials: Sequence[Trial], measures: Sequence[Measure], liked: int, disliked: int
) -> Growth:
    """Choose a round's best images as liked candidates and its worst as disliked ones.

    As in the paper's iterative feedback, by the first of the measures; images of trials that keep
    all bounds come before others. An image is chosen once, even where it is among both.
    """
    sign = 1 if measures[0].direction == "maximize" else -1
    ranked = sorted(
        (
            (not keeps_bounds(trial, measures), -sign * value, image)
            for trial in trials
            for value, image in _scored_images(trial)
        ),
        key=lambda one: one[:2],
    )
    return _ends([image for *_, image in ranked], liked, disliked)


def growth_by_preferences(
    trials: Sequence[Trial],
    measures: Sequence[Measure],
    preferences: Sequence[Preference],
    liked: int,
    disliked: int,
) -> Growth:
    """Choose the first image of the trials that won, and of those that lost, most comparisons.

    Those that won as many as they lost, or were never compared, are not chosen, nor as liked those
    that break a bound.
    """
    share = shares_won(preferences)
    judged = [t for t in trials if t.index in share and t.images]
    ranked = sorted(judged, key=lambda trial: -share[trial.index])
    winners = [trial for trial in ranked if share[trial.index] > 0.5]
    won = [trial.images[0] for trial in winners if keeps_bounds(trial, measures)]
    best = _ends(won, liked, 0).liked
    lost = [trial.images[0] for trial in ranked if share[trial.index] < 0.5]
    # Two trials may have drawn the same pixels, and only one of them have won.
    lost = [image for image in lost if image not in best]
    return Growth(best, _ends(lost, 0, disliked).disliked)


def _ends(ranked: Sequence[str], liked: int, disliked: int) -> Growth:
    """Return the first and the last of the images, the best first and the worst first."""
    unique = list(dict.fromkeys(ranked))
    best = tuple(unique[:liked])
    rest = [image for image in reversed(unique) if image not in best]
    return Growth(best, tuple(rest[:disliked]))


def keeps_bounds(trial: Trial, measures: Sequence[Measure]) -> bool:
    """Tell whether a trial's own images keep all bounds, as far as they were measured."""
    return all(measure.allows(score.mean) for measure, score in trial.by_measure(measures))


def growth_by_votes(
    images: Iterable[str],
    breaking: Collection[str],
    counts: Mapping[str, int],
    liked: int,
    disliked: int,
) -> Growth:
    """Choose the images that people liked and disliked most; nobody's are not chosen.

    Args:
        images: that are not in the pool yet. Not of one round alone: pictures are drawn ahead of
            the votes, so that a round is often judged after the next one has begun.
        breaking: those of them that are of trials which break a bound: never chosen as liked.
        counts: how often an image was liked, less how often it was disliked.
        liked: how many are chosen at most.
        disliked: likewise.
    """
    ranked = sorted(dict.fromkeys(images), key=lambda image: -counts.get(image, 0))
    best = [image for image in ranked if counts.get(image, 0) > 0 and image not in breaking]
    worst = [image for image in reversed(ranked) if counts.get(image, 0) < 0]
    return Growth(tuple(best[:liked]), tuple(worst[:disliked]))


def with_wishes(chosen: Growth, wishes: Mapping[str, Role]) -> Growth:
    """Put the images that the owner asked for before those that were chosen."""
    liked = [image for image, role in wishes.items() if role is Role.LIKED]
    disliked = [image for image, role in wishes.items() if role is Role.DISLIKED]
    return Growth(
        tuple(dict.fromkeys((*liked, *(i for i in chosen.liked if i not in wishes)))),
        tuple(dict.fromkeys((*disliked, *(i for i in chosen.disliked if i not in wishes)))),
    )


def _scored_images(trial: Trial) -> Iterator[tuple[float, str]]:
    if trial.score is None or not trial.images:
        return
    if len(trial.score.values) == len(trial.images):
        yield from zip(trial.score.values, trial.images, strict=True)
    else:  # one number for the whole batch: its first image stands for it
        yield trial.score.mean, trial.images[0]
