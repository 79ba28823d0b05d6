"""A study's status in lines that fit sixty columns."""

from collections.abc import Iterator
from datetime import datetime

from fabricbo.cli.answers.answer import command
from fabricbo.records import TrialStatus
from fabricbo.report.wording import duration
from fabricbo.scores import Score
from fabricbo.study.status import Going, Leader, StudyState, StudyStatus

_WORKERS = 12
"""More are summed up: a cluster has hundreds."""
_GOING = 6


def summary(status: StudyStatus) -> str:
    """Say how it is going in one line."""
    parts = [f"{status.finished} of {status.planned} trials", f"round {status.round}"]
    if status.leader is not None:
        parts.append(f"best trial {status.leader.trial} {_scored(status.leader.score)}".rstrip())
    if status.questions is not None:
        parts.append(f"{status.questions.waiting} questions wait")
    if status.pace.seconds_left is not None and status.state is StudyState.DRAWING:
        parts.append(f"{duration(status.pace.seconds_left)} left")
    return f"{status.state}: {', '.join(parts)}"


def status_lines(status: StudyStatus) -> list[str]:
    """Say how it is going."""
    counts = (f"{n} {key}" for key, n in status.counts.items() if n)
    said = ", ".join(counts) or "none yet"
    return [
        f"{status.name}: {_state(status)}",
        f"round {status.round} of {status.rounds}, trial {status.finished} of {status.planned}",
        f"trials: {said}",
        *(_going(one) for one in status.going[:_GOING]),
        *_more(len(status.going) - _GOING, "trials in flight"),
        *_best(status.leader),
        *_pace(status),
        *_questions(status),
        *_workers(status),
        *_features(status),
        *(
            f"lost: trial {one.trial}, {_ago(one.when, status.taken)}: {one.reason}"
            for one in status.lost
        ),
    ]


def _state(status: StudyStatus) -> str:
    if status.driver is not None:
        end = " (all trials are done)" if status.finished >= status.planned else ""
        return f"drawn by {status.driver}{end}"
    go_on = command("resume", status.folder)
    if status.state is StudyState.COMPLETE:
        return "complete"
    if status.state is StudyState.STOPPED:
        return f"nobody draws; it was stopped in the middle. Go on with: {go_on}"
    if status.finished >= status.planned and status.heldout is False:
        return f"nobody draws; the comparison at the end is left. Go on with: {go_on}"
    return f"nobody draws. Go on with: {go_on}"


def _going(one: Going) -> str:
    again = f", attempt {one.attempt}" if one.attempt > 1 else ""
    who = f" by {one.worker}" if one.worker else ""
    for_ = "" if one.status is TrialStatus.PROPOSED else f" for {duration(one.seconds)}"
    return f"  trial {one.trial}{again}: {one.status}{who}{for_}"


def _more(count: int, of_what: str) -> Iterator[str]:
    if count > 0:
        yield f"  and {count} more {of_what}"


def _best(leader: Leader | None) -> Iterator[str]:
    if leader is None:
        return
    if leader.score is None:
        yield f"best so far: trial {leader.trial}, as people judge"
        return
    yield f"best so far: trial {leader.trial}, {leader.measure} {_scored(leader.score)}"
    if leader.baseline is None:
        return
    yield f"hand settings: {_scored(leader.baseline)}"
    if leader.difference is not None:
        yield f"difference: {leader.difference:+.4g}{_interval(leader)}"


def _interval(leader: Leader) -> str:
    """Say how sure the difference is: by two standard errors, and by what it was measured on."""
    where = "on fresh seeds" if leader.on_fresh_seeds else "flattered: it was chosen by these"
    if leader.difference is None or leader.standard_error is None:
        return f" ({where})"
    low, high = (leader.difference + n * leader.standard_error for n in (-2, 2))
    return f" ({low:+.3g} to {high:+.3g}; {where})"


def _scored(score: Score | None) -> str:
    if score is None:
        return ""
    error = score.standard_error
    return f"{score.mean:.4g}" + ("" if error is None else f" +- {error:.2g}")


def _pace(status: StudyStatus) -> Iterator[str]:
    pace = status.pace
    if pace.seconds_a_trial is not None:
        rate = "" if pace.trials_an_hour is None else f", {_rate(pace.trials_an_hour)} an hour"
        yield f"a trial takes {duration(pace.seconds_a_trial)}{rate}"
    if status.finished >= status.planned or status.state is not StudyState.DRAWING:
        return
    if pace.seconds_left is None:
        yield "time left: not known before a trial is done"
    else:
        yield f"time left: about {duration(pace.seconds_left)}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _questions(status: StudyStatus) -> Iterator[str]:
    if status.questions is not None:
        asked = status.questions
        yield f"questions: {asked.answered} of {asked.planned} answered, {asked.waiting} wait"


def _workers(status: StudyStatus) -> Iterator[str]:
    for one in status.workers[:_WORKERS]:
        name = one.name or "this process alone"
        at = "" if one.at is None else f", at trial {one.at}"
        yield f"{name}: {one.trials} trials, busy {one.busy:.0%}{at}"
    yield from _more(len(status.workers) - _WORKERS, "workers")
    if len(status.workers) > 1:
        busy = sum(one.busy for one in status.workers) / len(status.workers)
        yield f"{len(status.workers)} workers, busy {busy:.0%} in all"


def _features(status: StudyStatus) -> Iterator[str]:
    names = ("features_found", "features_fetched", "features_computed")
    found, fetched, computed = (status.sampler.get(name, 0) for name in names)
    if found + fetched + computed:
        known = (found + fetched) / (found + fetched + computed)
        yield f"reference features: {known:.0%} were known, {computed} computed"


def _ago(when: datetime, now: datetime) -> str:
    return f"{duration(max(0.0, (now - when).total_seconds()))} ago"
