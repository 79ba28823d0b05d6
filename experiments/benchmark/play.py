"""Playing a problem with a proposer, and keeping what came of it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from experiments.benchmark.problem import Problem
from experiments.benchmark.quality import Values, as_values, quality
from experiments.kept_lines import append_line, read_rows
from fabricbo.proposers import SobolProposer
from fabricbo.protocols import History, Proposer
from fabricbo.records import Trial, TrialStatus
from fabricbo.scores import Direction, Score

FIRST_TRIALS = 6
"""The hand settings and five Sobol points, the same for all proposers of a problem and seed."""


@dataclass(frozen=True)
class Run:
    """One problem played by one proposer with one seed."""

    problem: str
    proposer: str
    seed: int
    values: tuple[float, ...]
    """Of each trial's action without noise, or its mean score where nobody knows that; with
    several measures what all trials so far came to, see `quality`."""
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
    first: Proposer | None = None,
) -> Run:
    """Let a proposer pick so many actions after the first ones, telling it scores one by one.

    Args:
        problem: what is played.
        name: of the proposer, for the run.
        proposer: who picks.
        trials: how many, the `FIRST_TRIALS` included.
        seed: of the proposer's randomness and of the noise.
        on_trial: told the history after each trial.
        first: who picks the first ones; None: a Sobol sequence.
    """
    first = first or SobolProposer()
    history = History(
        problem.space,
        problem.pool(0),
        (),
        problem.direction,
        seed,
        further=problem.further,
        reference_point=problem.reference_point,
    )
    values, seconds = list[Values](), list[float]()
    for index in range(trials):
        history = replace(history, pool=problem.pool(index))
        began = time.perf_counter()
        proposal = (proposer if index >= FIRST_TRIALS else first).propose(history)
        if index >= FIRST_TRIALS:
            seconds.append(time.perf_counter() - began)
        # Every proposer's trial of this number meets the same noise.
        scores = _several(problem.evaluate(proposal.action, 100_000 * seed + index))
        means = tuple(score.mean for score in scores)
        values.append(means if problem.value is None else as_values(problem.value(proposal.action)))
        done = TrialStatus.DONE
        trial = Trial(index, 1, proposal.action, proposal.source, (seed,), done, scores[0])
        history = replace(
            history, trials=(*history.trials, replace(trial, further=tuple(scores[1:])))
        )
        on_trial(history)
    return Run(
        problem.name,
        name,
        seed,
        tuple(progress(problem, values)),
        tuple(seconds),
        problem.optimum,
        problem.direction if not problem.further else _upwards(problem),
    )


def progress(problem: Problem, values: Sequence[Values]) -> list[float]:
    """Return each trial's value; with several measures what the trials so far came to."""
    if not problem.further:
        return [of_one for (of_one,) in values]
    return [quality(problem.measures, values[: i + 1]) for i in range(len(values))]


def _upwards(problem: Problem) -> Direction:
    """Return which way progress goes: a hypervolume grows whatever its objectives do."""
    several = sum(not measure.is_constraint for measure in problem.measures) > 1
    return "maximize" if several else problem.direction


def _several(given: Score | tuple[Score, ...]) -> tuple[Score, ...]:
    return (given,) if isinstance(given, Score) else given


Key = tuple[str, str, int, int]
"""Problem, proposer, seed and number of trials."""


class Results:
    """Runs in a file of JSON lines; a run that is there is not played again."""

    def __init__(self, file: Path) -> None:
        """Read what is there; a line that a kill cut off is dropped."""
        self._file = file
        self._runs: dict[Key, Run] = {}
        for run in _read(file):
            self._runs[_key(run)] = run

    def __contains__(self, key: Key) -> bool:
        return key in self._runs

    def __getitem__(self, key: Key) -> Run:
        return self._runs[key]

    def add(self, run: Run) -> None:
        """Keep a run, in the file too."""
        run = _rounded(run)
        append_line(self._file, json.dumps(asdict(run)))
        self._runs[_key(run)] = run


def _rounded(run: Run) -> Run:
    """Return a run in numbers that are worth keeping."""
    return replace(
        run,
        values=tuple(round(value, 6) for value in run.values),
        seconds=tuple(round(seconds, 4) for seconds in run.seconds),
    )


def _key(run: Run) -> Key:
    return (run.problem, run.proposer, run.seed, len(run.values))


def _read(file: Path) -> Iterator[Run]:
    for row in read_rows(file):
        yield Run(**{**row, "values": tuple(row["values"]), "seconds": tuple(row["seconds"])})
