"""Which trials a person may be shown, and whether a judgement is about them."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import combinations

from fabricbo.imagefiles import open_image
from fabricbo.records import Trial
from fabricbo.scores import Preference
from fabricbo.study.images import ImageStore
from fabricbo.study.settings import StudySettings
from fabricbo.votes import Option, Question


def shown_indices(trials: Sequence[Trial], given: Sequence[Trial]) -> list[int]:
    """Return the indices of trials that a person judged.

    Raises:
        ValueError: one is not among the study's trials, or has no images yet.
    """
    return [_index(trials, trial) for trial in given]


def _index(trials: Sequence[Trial], trial: Trial) -> int:
    known = trials[trial.index] if trial.index < len(trials) else None
    if known is None or (known.action, known.seeds) != (trial.action, trial.seeds):
        raise ValueError(f"trial {trial.index} is not one of this study's")
    if not known.images or (trial.images and trial.images != known.images):
        raise ValueError(f"trial {trial.index} of this study has no such images")
    return known.index


def check_images_stay(
    trials: Sequence[Trial], index: int, images: Sequence[str], preferences: Sequence[Preference]
) -> None:
    """Check that nobody replaces the images that a judgement is about.

    Raises:
        ValueError: the trial was judged by other images.
    """
    judged = any(index in (one.better, one.worse) for one in preferences)
    if judged and tuple(images) != trials[index].images:
        raise ValueError(
            f"trial {index} was judged by the images that it has; tell it with the same ones"
        )


def gold_questions(settings: StudySettings, images: ImageStore) -> list[Question]:
    """Return the owner's gold checks, their images stored with the study's."""
    checks = () if settings.rating is None else settings.rating.gold
    return [
        Question(
            id=0,
            kind="pairwise",
            options=tuple(
                Option(images.save(open_image(file)), None) for file in (check.better, check.worse)
            ),
            reason="gold check",
            expected=0,
        )
        for check in checks
    ]


def least_compared(
    shown: Sequence[Trial],
    preferences: Sequence[Preference],
    count: int,
    waiting: Collection[frozenset[int]] = (),
) -> list[tuple[int, int]]:
    """Return pairs of trials that were compared least, those that nobody compared first."""
    compared = Counter(index for one in preferences for index in (one.better, one.worse))
    asked = {frozenset((one.better, one.worse)) for one in preferences} | {*waiting}
    pairs = list(combinations((trial.index for trial in shown), 2))
    new = [pair for pair in pairs if frozenset(pair) not in asked]
    chosen: list[tuple[int, int]] = []
    candidates = new or pairs
    while candidates and len(chosen) < count:
        pair = min(candidates, key=lambda pair: sum(compared[index] for index in pair))
        candidates.remove(pair)
        compared.update(pair)
        chosen.append(pair)
    return chosen
