"""JSON lines: a file that is only ever added to, a line an event."""

import json
from pathlib import Path
from typing import Any, BinaryIO

from fabricbo.events import HeldOut, RoundOver, StudyBegun, StudyEnded, StudyEvent, TrialOver
from fabricbo.loggers.numbers import directions, heldout_numbers, trial_numbers

SCHEMA = 1
"""Version of the lines' keys; keys are only ever added within one."""


class JsonLines:
    """Writes `log.jsonl` in the study's folder, or another file; several studies may share one."""

    def __init__(self, file: str | None = None) -> None:
        """Take where to write; nothing is opened yet."""
        self._file = None if file is None else Path(file)
        self._known: set[tuple[str, str]] | None = None

    def log(self, event: StudyEvent, /) -> None:
        """Write a line, unless it is there from a process that was killed right after it."""
        about = event.about
        line = {
            "schema": SCHEMA,
            "time": event.time.isoformat(),
            "study": about.name,
            "id": about.id,
            **_fields(event),
        }
        file = self._file or about.folder / "log.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+") as opened:
            if self._known is None:
                self._known = _keys(opened)
            key = _key(line)
            if key in self._known:
                return
            if key is not None:
                self._known.add(key)
            text = json.dumps(line, allow_nan=False, ensure_ascii=False)
            opened.write(f"{text}\n".encode())


def _keys(file: BinaryIO) -> set[tuple[str, str]]:
    """Return what was written before; half a line, of a process that was killed, is cut off."""
    file.seek(0)
    found, whole = set(), 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        whole += len(line)
        try:
            key = _key(json.loads(line))
        except (ValueError, KeyError, TypeError):  # not ours
            continue
        if key is not None:
            found.add(key)
    file.truncate(whole)
    return found


def _key(line: dict[str, Any]) -> tuple[str, str] | None:
    """Tell lines apart that must not be written twice."""
    told = {
        "trial": ("trial", "attempt", "status"),
        "round": ("round",),
        "heldout": ("trial",),
    }.get(line["event"])
    if told is None:
        return None
    return line["id"], " ".join(str(part) for part in (line["event"], *(line[k] for k in told)))


def _fields(event: StudyEvent) -> dict[str, Any]:
    if isinstance(event, TrialOver):
        return _trial(event)
    if isinstance(event, StudyBegun):
        settings, aims = dict(event.about.settings), directions(event.about)
        return {
            "event": "begun",
            "resumed": event.resumed,
            "directions": aims,
            "settings": settings,
        }
    if isinstance(event, RoundOver):
        best = None if event.best is None else event.best.index
        return {"event": "round", "round": event.round, "pool": event.pool, "best": best}
    if isinstance(event, HeldOut):
        return {"event": "heldout", "trial": event.trial, "numbers": heldout_numbers(event)}
    if isinstance(event, StudyEnded):
        return {"event": "ended", "complete": event.complete}
    raise TypeError(f"no such event: {event!r}")


def _trial(event: TrialOver) -> dict[str, Any]:
    trial = event.trial
    pairs = trial.by_measure(event.about.measures)
    return {
        "event": "trial",
        "trial": trial.index,
        "attempt": trial.attempt,
        "round": trial.round,
        "status": str(trial.status),
        "source": trial.source,
        "reason": trial.reason,
        "numbers": trial_numbers(event),
        "values": {measure.name: list(score.values) for measure, score in pairs},
        "seeds": list(trial.seeds),
        "images": list(trial.images),
        "action": trial.action.to_json(),
    }
