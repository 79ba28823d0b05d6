"""Runs of simulated people, kept so that an experiment can be stopped and go on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.kept_lines import append_line, read_rows

Key = tuple[str, str, str, int, int]
"""World, way, person, seed and budget."""


@dataclass(frozen=True)
class Point:
    """What so many judgements have come to."""

    judgements: int
    regret: float
    """Share of the way from the hand settings to the ideal still to go."""
    trials: int
    """Drawn so far."""


@dataclass(frozen=True)
class Run:
    """One person in one world, asked in one way."""

    world: str
    way: str
    person: str
    seed: int
    budget: int
    points: tuple[Point, ...]
    seconds: float
    """That all of it took on this machine."""

    @property
    def key(self) -> Key:
        """What it is known by."""
        return (self.world, self.way, self.person, self.seed, self.budget)

    def regret(self, judgements: int) -> float:
        """Return the regret after so many judgements; 1 before the first look."""
        known = [point.regret for point in self.points if point.judgements <= judgements]
        return known[-1] if known else 1.0


class Results:
    """Runs in a file of JSON lines."""

    def __init__(self, file: Path) -> None:
        """Read what is there."""
        self._file = file
        self._runs = {run.key: run for run in map(_run, read_rows(file))}

    def __contains__(self, key: Key) -> bool:
        return key in self._runs

    def __getitem__(self, key: Key) -> Run:
        return self._runs[key]

    def add(self, run: Run) -> None:
        """Keep a run, in the file too."""
        points = [[p.judgements, round(p.regret, 4), p.trials] for p in run.points]
        row = {**asdict(run), "points": points, "seconds": round(run.seconds, 1)}
        append_line(self._file, json.dumps(row))
        self._runs[run.key] = _run(row)


def _run(row: dict[str, Any]) -> Run:
    return Run(**{**row, "points": tuple(Point(*point) for point in row["points"])})
