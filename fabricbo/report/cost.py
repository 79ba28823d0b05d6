"""What the study cost: images, and time as its events tell it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fabricbo.records import Trial
from fabricbo.report.known import Known
from fabricbo.report.wording import counted, duration
from fabricbo.study import Study
from fabricbo.study.pace import Attempt, attempts_of


@dataclass(frozen=True)
class RoundCost:
    """A round."""

    round: int
    trials: int
    """That came to an end, whichever."""
    images: int
    time: str
    """Of drawing and scoring."""
    share: float
    """Of the time of the longest round, in percent."""


@dataclass(frozen=True)
class Cost:
    """All of it."""

    facts: Sequence[tuple[str, str]]
    """What, and how much."""
    rounds: Sequence[RoundCost]


def cost(known: Known) -> Cost | None:
    """Return what was spent; None before anything was drawn."""
    ended = [one for one in attempts_of(known.study.events) if one.ended is not None]
    if not ended:
        return None
    return Cost(_facts(known, ended), _by_round(known.trials, ended))


def drawing_seconds(study: Study) -> float:
    """Return how long drawing and scoring took in all."""
    return sum(map(_seconds, attempts_of(study.events)))


def _facts(known: Known, ended: Sequence[Attempt]) -> list[tuple[str, str]]:
    lengths = [_seconds(one) for one in ended]
    images = sum(len(trial.images) for trial in known.trials)
    further = sum(len(row.images) for row in known.study.heldout_rows.values())
    at_the_end = f", {further} to compare at the end" if further else ""
    first, last = min(one.begun for one in ended), max(o.ended for o in ended if o.ended)
    facts = [
        (
            "images",
            f"{images} in {counted(len(known.trials), 'trial')}{at_the_end}",
        ),
        ("drawing and scoring", f"{duration(sum(lengths))}, summed over trials"),
        (
            "a trial",
            f"{duration(median(lengths))} as a rule, {duration(min(lengths))} to "
            f"{duration(max(lengths))}",
        ),
        (
            "from the first trial to the last",
            f"{duration((last - first).total_seconds())}, pauses included",
        ),
    ]
    return [*facts, *_best_found(known, ended), *_workers(ended), *_lost(known.trials)]


def _best_found(known: Known, ended: Sequence[Attempt]) -> list[tuple[str, str]]:
    if known.best is None:
        return []
    until = [one for one in ended if one.trial <= known.best.index]
    spent = duration(sum(map(_seconds, until)))
    return [("up to the best trial", f"{spent} of drawing and scoring")]


def _workers(ended: Sequence[Attempt]) -> list[tuple[str, str]]:
    names = {one.worker for one in ended if one.worker is not None}
    return [("workers", str(len(names)))] if names else []


def _lost(trials: Sequence[Trial]) -> list[tuple[str, str]]:
    lost = sum(trial.status.is_lost for trial in trials)
    again = sum(max(0, trial.attempt - 1) for trial in trials)
    said = [f"{counted(lost, 'trial')} without an outcome"] if lost else []
    said += [f"{counted(again, 'attempt')} begun anew"] if again else []
    return [("lost", ", ".join(said))] if said else []


def _by_round(trials: Sequence[Trial], ended: Sequence[Attempt]) -> list[RoundCost]:
    spent: dict[int, float] = {}
    for one in ended:
        spent[one.trial] = spent.get(one.trial, 0.0) + _seconds(one)
    found = []
    for index in dict.fromkeys(trial.round for trial in trials):
        here = [trial for trial in trials if trial.round == index and trial.index in spent]
        total = sum(spent[trial.index] for trial in here)
        found.append((index, len(here), sum(len(trial.images) for trial in here), total))
    longest = max((total for *_, total in found), default=0.0) or 1.0
    return [
        RoundCost(index, count, images, duration(total), 100 * total / longest)
        for index, count, images, total in found
        if count
    ]


def _seconds(one: Attempt) -> float:
    return 0.0 if one.ended is None else (one.ended - one.begun).total_seconds()
