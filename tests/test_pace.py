"""Pace and busy shares, computed from events with made-up times."""

from datetime import UTC, datetime, timedelta

import pytest

from fabricbo.records import TrialStatus
from fabricbo.study.pace import WorkerShare, pace_of, shares_of
from fabricbo.study.trial_rows import TrialEvent

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING, DRAWN, DONE = TrialStatus.RUNNING, TrialStatus.DRAWN, TrialStatus.DONE


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def event(seconds: float, trial: int, status: TrialStatus, worker: str | None = None) -> TrialEvent:
    return TrialEvent(trial, 1, status, worker, None, at(seconds))


def one_after_the_other(count: int, each: float) -> list[TrialEvent]:
    return [
        event(trial * each + later, trial, status)
        for trial in range(count)
        for later, status in ((0, RUNNING), (each * 0.75, DRAWN), (each, DONE))
    ]


def test_one_worker() -> None:
    found = pace_of(one_after_the_other(5, 10), left=3, since=BEGAN, now=at(50))
    assert found.seconds_a_trial == 10
    assert found.trials_an_hour == pytest.approx(360)
    assert found.seconds_left == pytest.approx(30)


def test_the_pace_is_that_of_the_last_twenty() -> None:
    slow = one_after_the_other(30, 100)
    fast = [event(3000 + i, 30 + i // 2, DONE if i % 2 else RUNNING) for i in range(100)]
    found = pace_of([*slow, *fast], left=10, since=BEGAN, now=at(3099))
    assert found.trials_an_hour == pytest.approx(1800)
    assert found.seconds_left == pytest.approx(20)


def test_what_stands_still_is_no_pace() -> None:
    events = one_after_the_other(1, 10)
    kept = pace_of(events, 1, BEGAN, at(20)).seconds_left
    late = pace_of(events, 1, BEGAN, at(3610)).seconds_left
    assert kept == pytest.approx(10)
    assert late == pytest.approx(3600)


def test_nothing_is_made_up() -> None:
    events = one_after_the_other(2, 10)
    stopped = pace_of(events, 4, None, at(50))
    assert (stopped.seconds_a_trial, stopped.trials_an_hour, stopped.seconds_left) == (
        10,
        None,
        None,
    )
    begun = [*events, event(1000, 2, RUNNING)]
    resumed = pace_of(begun, 4, at(990), at(1001))
    assert (resumed.trials_an_hour, resumed.seconds_left) == (None, None)
    assert pace_of([], 4, BEGAN, at(1)).seconds_a_trial is None


def test_workers_and_what_waits_in_front_of_them() -> None:
    """Four trials are claimed at once, and drawn by two workers, two one after the other."""
    events = [event(0, trial, RUNNING) for trial in range(4)]
    events += [event(8, 0, DRAWN, "ray worker 10"), event(10, 0, DONE)]
    events += [event(18, 1, DRAWN, "ray worker 9"), event(20, 1, DONE)]
    events += [event(20, 2, DRAWN, "ray worker 10"), event(22, 3, DRAWN, "ray worker 9")]
    assert shares_of(events, BEGAN, at(40)) == (
        WorkerShare("ray worker 9", 1, 3, 1.0),
        WorkerShare("ray worker 10", 1, 2, 1.0),
    )
    ended = [*events, event(30, 2, DONE), event(40, 3, TrialStatus.FAILED)]
    assert shares_of(ended, BEGAN, at(40)) == (
        WorkerShare("ray worker 9", 2, None, 1.0),
        WorkerShare("ray worker 10", 2, None, 0.75),
    )


def test_a_process_alone_and_its_idle_time() -> None:
    events = [event(0, 0, RUNNING), event(10, 0, DONE), event(30, 1, RUNNING)]
    assert shares_of(events, BEGAN, at(40)) == (WorkerShare(None, 1, 1, 0.5),)
    assert shares_of(events, None, at(40)) == ()
    # As long as nothing is drawn, nobody knows whether there are workers.
    assert shares_of(events[:1], BEGAN, at(5)) == ()


def test_an_attempt_of_a_process_that_is_gone_counts_for_nobody() -> None:
    events = [event(0, 0, RUNNING), event(100, 0, RUNNING), event(110, 0, DONE)]
    assert shares_of(events, at(90), at(110)) == (WorkerShare(None, 1, None, 0.5),)
    assert pace_of(events, 1, at(90), at(110)).seconds_a_trial == 10
