"""A study's status as a JSON object; keys are only ever added within a version."""

from dataclasses import asdict
from typing import Any

from fabricbo.scores import Score
from fabricbo.study.status import Leader, StudyStatus

STATUS_SCHEMA = 1
"""Version of the object's keys."""


def status_json(status: StudyStatus) -> dict[str, Any]:
    """Return the status in JSON's types."""
    driver, leader = status.driver, status.leader
    return {
        "schema": STATUS_SCHEMA,
        "study": status.name,
        "folder": str(status.folder),
        "time": status.taken.isoformat(),
        "state": str(status.state),
        "driver": None
        if driver is None
        else {
            "process": driver.process,
            "machine": driver.machine,
            "since": None if driver.since is None else driver.since.isoformat(),
        },
        "round": status.round,
        "rounds": status.rounds,
        "planned": status.planned,
        "finished": status.finished,
        "trials": {str(key): count for key, count in status.counts.items()},
        "going": [{**asdict(one), "status": str(one.status)} for one in status.going],
        "best": None if leader is None else _leader(leader),
        "pace": asdict(status.pace),
        "workers": [asdict(one) for one in status.workers],
        "failures": [{**asdict(one), "when": one.when.isoformat()} for one in status.lost],
        "questions": None if status.questions is None else asdict(status.questions),
        "heldout": status.heldout,
        "sampler": dict(status.sampler),
    }


def _leader(leader: Leader) -> dict[str, Any]:
    return {
        "trial": leader.trial,
        "measure": leader.measure,
        "score": _score(leader.score),
        "baseline": _score(leader.baseline),
        "difference": leader.difference,
        "standard_error": leader.standard_error,
        "on_fresh_seeds": leader.on_fresh_seeds,
    }


def _score(score: Score | None) -> dict[str, float | None] | None:
    if score is None:
        return None
    return {"mean": score.mean, "standard_error": score.standard_error}
