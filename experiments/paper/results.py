"""What came of playing a task with a system, kept as JSON lines so that a run can go on."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.kept_lines import append_line, read_rows

DIGITS = 4
"""That are kept of every number."""


@dataclass(frozen=True)
class RoundResult:
    """One round of one task."""

    scores: tuple[float, ...]
    """Of the images, by the model that chooses the feedback."""
    judged: tuple[float, ...]
    """Of the images, by a model that chooses nothing; empty without a judge."""
    liked: float | None
    """Mean similarity to the images liked so far; None in the first round."""
    disliked: float | None
    diversity: float
    """One minus the mean similarity of the round's images to each other."""
    evaluations: int
    """Of the U-Net, in all rounds so far."""


@dataclass(frozen=True)
class Outcome:
    """One task played by one system."""

    system: str
    task: int
    key: str
    """Of all that it depends on; see `fingerprint`."""
    rounds: tuple[RoundResult, ...]


def fingerprint(*parts: Any) -> str:
    """Return a short hash of values that can be written as JSON."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Results:
    """Outcomes in a file; one that is there is not played again."""

    def __init__(self, file: Path) -> None:
        """Read what is there; a line that a kill cut off is dropped."""
        self._file = file
        self._outcomes: dict[tuple[str, int, str], Outcome] = {}
        for outcome in _read(file):
            self._outcomes[outcome.system, outcome.task, outcome.key] = outcome

    def get(self, system: str, task: int, key: str) -> Outcome | None:
        """Return an outcome, or None where there is none yet."""
        return self._outcomes.get((system, task, key))

    def add(self, outcome: Outcome) -> Outcome:
        """Keep an outcome, in the file too, and return it as it is kept."""
        line = json.dumps(_rounded(asdict(outcome)), separators=(",", ":"))
        append_line(self._file, line)
        kept = _outcome(json.loads(line))
        self._outcomes[kept.system, kept.task, kept.key] = kept
        return kept


def _read(file: Path) -> Iterator[Outcome]:
    return (_outcome(row) for row in read_rows(file))


def _outcome(row: dict[str, Any]) -> Outcome:
    rounds = (
        RoundResult(**{**one, "scores": tuple(one["scores"]), "judged": tuple(one["judged"])})
        for one in row["rounds"]
    )
    return Outcome(**{**row, "rounds": tuple(rounds)})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
