"""How a study is going, read from its store: who draws, what is done, how long it will take.

All of it follows from the events of trials, so that any process can say so, at any time.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from fabricbo.records import Trial, TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.study.driver import Driver
from fabricbo.study.pace import Pace, WorkerShare, pace_of, shares_of
from fabricbo.study.trial_rows import TrialEvent

if TYPE_CHECKING:
    from fabricbo.study.study import Study

_LAST_FAILURES = 3


class StudyState(StrEnum):
    """Whether a study goes on."""

    DRAWING = "drawing"
    """A process draws for it."""
    STOPPED = "stopped"
    """Nobody draws, and trials were in flight."""
    PAUSED = "paused"
    """Nobody draws, no trial is in flight, and something is left to do."""
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Going:
    """A trial that is in flight."""

    trial: int
    attempt: int
    status: TrialStatus
    worker: str | None
    """Who has it, where that is known: of several workers, once it is drawn."""
    seconds: float
    """Since this status."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A trial that came to nothing."""

    trial: int
    reason: str
    when: datetime
    """In UTC."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The best trial so far beside the hand settings, by the first measure."""

    trial: int
    measure: str
    score: Score | None
    """None where nothing but people says what is good."""
    baseline: Score | None
    difference: float | None
    """Best minus hand settings; on fresh seeds where those have been drawn."""
    standard_error: float | None
    """Of the difference; None where it is not known."""
    on_fresh_seeds: bool
    """Else these are the images that made it the best: the difference is flattered."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What people are asked, besides repeats and gold checks."""

    answered: int
    waiting: int
    planned: int


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """How a study is going."""

    name: str
    folder: Path
    taken: datetime
    """When this was read, in UTC."""
    state: StudyState
    driver: Driver | None
    round: int
    """The present one, from 1."""
    rounds: int
    planned: int
    """Trials in all."""
    counts: Mapping[TrialStatus, int]
    """Trials by status; each status is there."""
    going: tuple[Going, ...]
    leader: Leader | None
    pace: Pace
    workers: tuple[WorkerShare, ...]
    lost: tuple[Lost, ...]
    """The last few, the latest first."""
    questions: Questions | None
    """None where nobody judges."""
    heldout: bool | None
    """Whether best and hand settings have been compared at the end; None: not asked for."""
    sampler: Mapping[str, int]
    """What samplers counted while they drew, in all."""

    @property
    def finished(self) -> int:
        """Trials that need no more work but, perhaps, a person's judgement."""
        return sum(n for status, n in self.counts.items() if not status.is_pending)


def read_status(study: "Study", now: datetime | None = None) -> StudyStatus:
    """Return how a study is going.

    Args:
        study: opened for reading is enough.
        now: the time, for tests.
    """
    taken = now or datetime.now(UTC)
    trials, events, driver = study.trials, study.events, study.driver
    questions, heldout = _questions(study), _heldout(study)
    counts = Counter(trial.status for trial in trials)
    left = study.planned_trials - sum(not trial.status.is_pending for trial in trials)
    # In Python some trials may be told while others wait: nobody need hold the lock for that.
    done = not left and heldout is not False
    if questions is not None and study.people_lead:
        done = questions.answered >= questions.planned or study.ballots.state == "stopped"
    since = None if driver is None else driver.since
    return StudyStatus(
        name=study.settings.name,
        folder=study.folder,
        taken=taken,
        state=_state(trials, driver, done=done),
        driver=driver,
        round=study.rounds[-1].index,
        rounds=study.settings.rounds,
        planned=study.planned_trials,
        counts={status: counts[status] for status in TrialStatus},
        going=_going(trials, events, taken),
        leader=_leader(study, trials),
        pace=pace_of(events, left, None if driver is None else since or taken, taken),
        workers=shares_of(events, since, taken),
        lost=_lost(events),
        questions=questions,
        heldout=heldout,
        sampler=dict(sum((Counter(event.counts or {}) for event in events), Counter())),
    )


def _state(trials: Sequence[Trial], driver: Driver | None, *, done: bool) -> StudyState:
    if driver is not None:
        return StudyState.DRAWING
    if done:
        return StudyState.COMPLETE
    pending = any(trial.status.is_pending for trial in trials)
    return StudyState.STOPPED if pending else StudyState.PAUSED


def _going(
    trials: Sequence[Trial], events: Sequence[TrialEvent], now: datetime
) -> tuple[Going, ...]:
    last = {event.trial: event for event in events}
    found = []
    for trial in trials:
        event = last.get(trial.index)
        if event is not None and event.status.is_pending:
            seconds = max(0.0, (now - event.created).total_seconds())
            found.append(Going(trial.index, event.attempt, event.status, event.worker, seconds))
    return tuple(found)


def _lost(events: Sequence[TrialEvent]) -> tuple[Lost, ...]:
    lost = [event for event in events if event.status.is_lost]
    latest = lost[: -_LAST_FAILURES - 1 : -1]
    return tuple(Lost(one.trial, one.reason or "", one.created) for one in latest)


def _leader(study: "Study", trials: Sequence[Trial]) -> Leader | None:
    best, heldout = study.best(), study.heldout
    if best is None:
        return None
    hand = next((trial for trial in trials if trial.index == 0), None)
    if heldout is not None:
        first = heldout.first
        about = (first.measure.name, first.best, first.baseline)
        gap = first.difference
        return Leader(best.index, *about, gap.mean, gap.standard_error, on_fresh_seeds=True)
    base = None if hand is None else hand.score
    measure: Measure = study.measures[0]
    difference, error = _difference(best, hand)
    return Leader(
        best.index, measure.name, best.score, base, difference, error, on_fresh_seeds=False
    )


def _difference(best: Trial, hand: Trial | None) -> tuple[float | None, float | None]:
    """Return best minus hand settings and its standard error; seed by seed where they share."""
    if hand is None or best.score is None or hand.score is None or best.index == hand.index:
        return None, None
    if best.seeds == hand.seeds and len(best.score.by_seed) == len(hand.score.by_seed):
        pairs = zip(best.score.by_seed, hand.score.by_seed, strict=True)
        gap = Score(tuple(one - other for one, other in pairs))
        return gap.mean, gap.standard_error
    errors = (best.score.standard_error, hand.score.standard_error)
    known = [error for error in errors if error is not None]
    both = math.hypot(*known) if len(known) == 2 else None
    return best.score.mean - hand.score.mean, both


def _questions(study: "Study") -> Questions | None:
    settings = study.settings
    if settings.rating is None:
        return None
    standing, answered = study.ballots.counts(settings.rating.judgements)
    planned = settings.questions_a_round * settings.rounds
    return Questions(answered, standing - answered, planned)


def _heldout(study: "Study") -> bool | None:
    """Whether best and hand settings were compared; None where there is nothing to compare."""
    if not study.settings.heldout or study.baseline is None or study.best() is None:
        return None
    return None if study.people_lead else study.heldout is not None
