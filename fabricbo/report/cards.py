"""The filmstrip: a card a trial, a strip a round; and the references, by when they joined."""

from collections.abc import Sequence
from dataclasses import dataclass

from fabricbo.records import Reference, Trial, TrialStatus
from fabricbo.report.embed import EmbeddedImages
from fabricbo.report.known import Known
from fabricbo.report.measures import ScoreLine, broken_texts, score_lines
from fabricbo.report.pictures import (
    Picture,
    PictureGroup,
    drawn_pictures,
    liked_and_disliked,
    reference_pictures,
)
from fabricbo.report.wording import brief_value, number_text


@dataclass(frozen=True)
class Card:
    """A trial of the filmstrip."""

    trial: int
    title: str
    scores: Sequence[ScoreLine]
    brief: str
    """The first score in a few characters; empty before it is scored."""
    source: str
    status: str
    """For the style."""
    standing: str
    """Where it stands, in words; empty once the first measure has a score."""
    reason: str | None
    broken: Sequence[str]
    """What it does to bounds, in words."""
    is_best: bool
    groups: Sequence[PictureGroup]
    parameters: Sequence[tuple[str, str]]
    liked: Sequence[Picture]
    disliked: Sequence[Picture]


@dataclass(frozen=True)
class Strip:
    """A round of the filmstrip."""

    title: str
    joined: Sequence[Picture]
    cards: Sequence[Card]


def trial_card(known: Known, trial: Trial, embedded: EmbeddedImages) -> Card:
    """Return a trial's card."""
    study, best = known.study, known.best
    params, prompts = trial.action.params, study.settings.prompts
    liked, disliked = liked_and_disliked(trial.action, embedded)
    return Card(
        trial=trial.index,
        title=f"Trial {trial.index}",
        brief="" if trial.score is None else number_text(trial.score.mean),
        scores=score_lines(trial, study.measures),
        source=trial.source,
        status=str(trial.status),
        standing=_standing(known, trial) if trial.score is None else "",
        reason=trial.reason,
        broken=broken_texts(known, trial),
        is_best=best is not None and best.index == trial.index,
        groups=drawn_pictures(trial.images, f"trial {trial.index}", prompts, embedded),
        parameters=[(n, brief_value(getattr(params, n))) for n in study.space.parameters],
        liked=liked,
        disliked=disliked,
    )


def round_strips(known: Known, embedded: EmbeddedImages) -> list[Strip]:
    """Return the rounds, with the references that joined in each and its trials."""
    strips, seen = [], set[str]()
    for current in known.rounds:
        new = [reference for reference in current.pool if reference.id not in seen]
        seen.update(reference.id for reference in new)
        here = [trial for trial in known.trials if trial.round == current.index]
        cards = [trial_card(known, trial, embedded) for trial in here]
        joined = reference_pictures(new, embedded)
        strips.append(Strip(f"Round {current.index}", joined, cards))
    return strips


def pool_pictures(known: Known, embedded: EmbeddedImages) -> list[tuple[Picture, str]]:
    """Return every reference with the round in which it joined."""
    joined: dict[Reference, int] = {}
    for current in known.rounds:
        for reference in current.pool:
            joined.setdefault(reference, current.index)
    pictures = reference_pictures(list(joined), embedded)
    return [
        (picture, "from the start" if index == 1 else f"since round {index}")
        for picture, index in zip(pictures, joined.values(), strict=True)
    ]


def _standing(known: Known, trial: Trial) -> str:
    if trial.status is not TrialStatus.AWAITING_RATING:
        return str(trial.status)
    return "judged by eye" if trial.index in known.judged else "waits for a person's judgement"
