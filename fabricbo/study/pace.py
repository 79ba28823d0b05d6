"""How fast trials come, and who was busy how long, from their events.

A worker takes what has waited longest as soon as it is free. So it began a trial when that was
claimed, or when it was done with the one before, whichever was later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median

from fabricbo.records import TrialStatus
from fabricbo.study.trial_rows import TrialEvent

_WINDOW = 20
"""Trials that the pace is measured over: it changes with the settings that are tried."""
_ENDS = tuple(status for status in TrialStatus if not status.is_pending)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast trials come, as measured; None where nobody can say."""

    seconds_a_trial: float | None
    """From the beginning of an attempt to its end; the median of the last few."""
    trials_an_hour: float | None
    """Since the present process began; None where none draws, or none is finished yet."""
    seconds_left: float | None
    """For the trials that are left, at this pace; the comparison at the end not counted."""


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What a worker has done since the present process began."""

    name: str | None
    """None: the process that draws, where it has no workers."""
    trials: int
    """That it finished."""
    at: int | None
    """The trial that it is known to be at: it has drawn it, and scores it now."""
    busy: float
    """Share of the time, 0 to 1."""


def pace_of(events: Sequence[TrialEvent], left: int, since: datetime | None, now: datetime) -> Pace:
    """Return how fast trials come.

    Args:
        events: of all trials.
        left: how many trials are to be done.
        since: when the process began that draws; None where none does.
        now: the time.
    """
    ended = [one for one in attempts_of(events) if one.ended is not None][-_WINDOW:]
    lengths = [(one.ended - one.begun).total_seconds() for one in ended if one.ended is not None]
    typical = median(lengths) if lengths else None
    begun = [e.created for e in events if e.status is TrialStatus.RUNNING]
    if since is None or not (here := [moment for moment in begun if moment >= since]):
        return Pace(typical, None, None)
    ends = [e.created for e in events if e.status in _ENDS and e.created >= here[0]]
    if not ends:
        return Pace(typical, None, None)
    start = here[0] if len(ends) <= _WINDOW else ends[-_WINDOW - 1]
    count = min(len(ends), _WINDOW)
    pace = max((ends[-1] - start).total_seconds() / count, 1e-3)
    # A trial that takes longer than usual counts from then on: what stands still is no pace.
    waited = max(0.0, (now - ends[-1]).total_seconds() - pace)
    pace += waited / count
    return Pace(typical, 3600 / pace, left * pace)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A worker's time with a trial."""

    trial: int
    worker: str | None
    begun: datetime
    """When it was claimed; it may have waited for a worker then."""
    ended: datetime | None
    """None: it goes on."""


def attempts_of(events: Sequence[TrialEvent]) -> list[Attempt]:
    """Return all attempts in the order of their ends; those that go on come last."""
    going: dict[int, Attempt] = {}
    found = []
    for event in events:
        if event.status is TrialStatus.RUNNING:
            going[event.trial] = Attempt(event.trial, event.worker, event.created, None)
        elif event.trial not in going:
            continue
        elif event.status is TrialStatus.DRAWN:
            known = event.worker or going[event.trial].worker
            going[event.trial] = replace(going[event.trial], worker=known)
        elif event.status in _ENDS:
            found.append(replace(going.pop(event.trial), ended=event.created))
    return [*found, *going.values()]


def shares_of(
    events: Sequence[TrialEvent], since: datetime | None, now: datetime
) -> tuple[WorkerShare, ...]:
    """Return what each worker has done since the present process began; none where none draws.

    A worker is known once it has drawn something.
    """
    if since is None:
        return ()
    attempts = attempts_of([event for event in events if event.created >= since])
    named = any(one.worker is not None for one in attempts)
    by_worker: dict[str | None, list[Attempt]] = {}
    for one in attempts:
        if one.worker is not None or not named:
            by_worker.setdefault(one.worker, []).append(one)
    shares = (_share(name, own, since, now) for name, own in by_worker.items())
    found = [share for share in shares if share.name is not None or share.trials]
    return tuple(sorted(found, key=lambda share: _by_number(share.name)))


def _share(
    name: str | None, attempts: Sequence[Attempt], since: datetime, now: datetime
) -> WorkerShare:
    busy, free = 0.0, since
    for one in attempts:
        ended = one.ended or now
        busy += max(0.0, (ended - max(one.begun, free)).total_seconds())
        free = max(free, ended)
    alive = max((now - since).total_seconds(), 1e-3)
    at = next((one.trial for one in attempts if one.ended is None), None)
    done = sum(one.ended is not None for one in attempts)
    return WorkerShare(name, done, at, min(1.0, busy / alive))


def _by_number(name: str | None) -> tuple[str, int]:
    """Put `worker 10` behind `worker 9`."""
    text, _, number = (name or "").rpartition(" ")
    return (text, int(number)) if number.isdigit() else (name or "", 0)
