"""What `status` says of a study that is going."""

from datetime import datetime
from typing import Literal

from fabricbo.cli.answers.answer import Answer, Told, command
from fabricbo.records import TrialStatus
from fabricbo.scores import Score
from fabricbo.study.pace import Pace, WorkerShare
from fabricbo.study.status import Going, Leader, Lost, Questions, StudyState, StudyStatus


class DriverTold(Told):
    """The process that draws; null where that is not known."""

    process: int | None
    machine: str | None
    since: datetime | None


class ScoreTold(Told):
    """A score."""

    mean: float
    standard_error: float | None


class LeaderTold(Told):
    """The best trial so far beside the hand settings, by the first measure."""

    trial: int
    measure: str
    score: ScoreTold | None
    """Null where nothing but people says what is good."""
    baseline: ScoreTold | None
    difference: float | None
    """Best minus hand settings."""
    standard_error: float | None
    """Of the difference."""
    on_fresh_seeds: bool
    """Else these are the images that made it the best: the difference is flattered."""


class StatusTold(Answer):
    """`fabricbo status`: how a study is going; with `--follow` one such object for each change."""

    format: Literal[1] = 1
    study: str
    folder: str
    time: datetime
    """When this was read, in UTC."""
    state: StudyState
    driver: DriverTold | None
    """Null where nobody draws."""
    round: int
    """The present one, from 1."""
    rounds: int
    planned: int
    """Trials in all."""
    finished: int
    """Trials that need no more work but, perhaps, a person's judgement."""
    trials: dict[TrialStatus, int]
    """How many have each status; each status is there."""
    going: tuple[Going, ...]
    """Trials in flight."""
    best: LeaderTold | None
    pace: Pace
    workers: tuple[WorkerShare, ...]
    failures: tuple[Lost, ...]
    """The last few, the latest first."""
    questions: Questions | None
    """Null where nobody judges."""
    heldout: bool | None
    """Whether best and hand settings were compared at the end; null: not asked for."""
    sampler: dict[str, int]
    """What samplers counted while they drew, in all."""


def status_told(status: StudyStatus) -> StatusTold:
    """Return a study's status as an answer."""
    driver, stands = status.driver, status.state in (StudyState.STOPPED, StudyState.PAUSED)
    return StatusTold(
        next=(command("resume", status.folder),) if stands else (),
        study=status.name,
        folder=str(status.folder),
        time=status.taken,
        state=status.state,
        driver=None
        if driver is None
        else DriverTold(process=driver.process, machine=driver.machine, since=driver.since),
        round=status.round,
        rounds=status.rounds,
        planned=status.planned,
        finished=status.finished,
        trials=dict(status.counts),
        going=status.going,
        best=None if status.leader is None else _leader(status.leader),
        pace=status.pace,
        workers=status.workers,
        failures=status.lost,
        questions=status.questions,
        heldout=status.heldout,
        sampler=dict(status.sampler),
    )


def _leader(leader: Leader) -> LeaderTold:
    return LeaderTold(
        trial=leader.trial,
        measure=leader.measure,
        score=_score(leader.score),
        baseline=_score(leader.baseline),
        difference=leader.difference,
        standard_error=leader.standard_error,
        on_fresh_seeds=leader.on_fresh_seeds,
    )


def _score(score: Score | None) -> ScoreTold | None:
    if score is None:
        return None
    return ScoreTold(mean=score.mean, standard_error=score.standard_error)
