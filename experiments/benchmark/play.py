"""Playing a problem with a proposer, and keeping what came of it."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from experiments.benchmark.problem import Problem
from fabricbo.protocols import History, Proposer
from fabricbo.records import Trial, TrialStatus


@dataclass(frozen=True)
class Run:
    """One problem played by one proposer with one seed."""

    problem: str
    proposer: str
    seed: int
    values: tuple[float, ...]
    """Of each trial's action without noise, or its mean score where nobody knows that."""
    seconds: tuple[float, ...]
    """That each suggestion took."""
    optimum: float | None
    direction: str = "maximize"

    @property
    def best(self) -> list[float]:
        """The best value so far, by trial."""
        choose = max if self.direction == "maximize" else min
        found: list[float] = []
        for value in self.values:
            found.append(choose(value, found[-1]) if found else value)
        return found


def play(
    problem: Problem,
    name: str,
    proposer: Proposer,
    trials: int,
    seed: int,
    on_trial: Callable[[History], None] = lambda _: None,
) -> Run:
    """Let a proposer pick so many actions, telling it their scores one by one.

    Args:
        problem: what is played.
        name: of the proposer, for the run.
        proposer: who picks.
        trials: how many.
        seed: of the proposer's randomness and of the noise.
        on_trial: told the history after each trial.
    """
    history = History(problem.space, problem.pool(0), (), problem.direction, seed)
    values, seconds = [], []
    for index in range(trials):
        history = replace(history, pool=problem.pool(index))
        began = time.perf_counter()
        proposal = proposer.propose(history)
        seconds.append(time.perf_counter() - began)
        # Every proposer's trial of this number meets the same noise.
        score = problem.evaluate(proposal.action, 100_000 * seed + index)
        value = score.mean if problem.value is None else problem.value(proposal.action)
        values.append(float(value))
        trial = Trial(index, 1, proposal.action, proposal.source, (seed,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))
        on_trial(history)
    return Run(
        problem.name, name, seed, tuple(values), tuple(seconds), problem.optimum, problem.direction
    )


class Results:
    """Runs in a file of JSON lines; a run that is there is not played again."""

    def __init__(self, file: Path) -> None:
        """Read what is there; a line that a kill cut off is dropped."""
        self._file = file
        self._runs: dict[tuple[str, str, int, int], Run] = {}
        for run in _read(file):
            self._runs[_key(run)] = run

    def get(
        self, problem: str, proposer: str, seed: int, trials: int, make: Callable[[], Run]
    ) -> Run:
        """Return a run, playing it first if need be."""
        key = (problem, proposer, seed, trials)
        if key not in self._runs:
            run = make()
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as stream:
                stream.write(json.dumps(asdict(run)) + "\n")
            self._runs[key] = run
        return self._runs[key]


def _key(run: Run) -> tuple[str, str, int, int]:
    return (run.problem, run.proposer, run.seed, len(run.values))


def _read(file: Path) -> Iterator[Run]:
    if not file.exists():
        return
    for line in file.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        yield Run(**{**row, "values": tuple(row["values"]), "seconds": tuple(row["seconds"])})
