"""What runs say: regret by trial, trials to nine tenths of the way, who wins how often."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.benchmark.play import Run

SHARE = 0.9
"""Of the way from the hand settings to the optimum."""


@dataclass(frozen=True)
class Summary:
    """One proposer on one problem."""

    regret: list[float]
    """Mean over seeds, by trial: share of the way from hand settings to optimum still to go."""
    standard_error: list[float]
    trials_to_share: list[int | None]
    """By seed: trials until `SHARE` of the way is gone; None where that did not happen."""
    median_seconds: float
    """Of a suggestion; the first trials are common to all and count for none."""
    total_seconds: float
    """All suggestions of a run, median over seeds."""


def best_known(runs: Sequence[Run]) -> dict[tuple[str, int], float]:
    """Return the optimum of each problem and seed, or the best that any proposer found."""
    found: dict[tuple[str, int], float] = {}
    for run in runs:
        sign = 1 if run.direction == "maximize" else -1
        candidates = [sign * run.best[-1]]
        candidates += [] if run.optimum is None else [sign * run.optimum]
        known = found.get((run.problem, run.seed))
        candidates += [] if known is None else [sign * known]
        found[run.problem, run.seed] = sign * max(candidates)
    return found


def regret(run: Run, optimum: float) -> npt.NDArray[np.float64]:
    """Return the share of the way from the hand settings (trial 0) that is still to go."""
    best = np.array(run.best)
    way = optimum - run.values[0]
    if abs(way) < 1e-9:
        return np.zeros(len(best))
    return np.asarray((optimum - best) / way, dtype=np.float64)


def trials_to_share(run: Run, optimum: float) -> int | None:
    """Return how many trials, the hand settings included, go `SHARE` of the way."""
    there = np.flatnonzero(regret(run, optimum) <= 1 - SHARE)
    return int(there[0]) + 1 if len(there) else None


def summarise(runs: Sequence[Run]) -> dict[str, dict[str, Summary]]:
    """Return summaries by problem and proposer."""
    known = best_known(runs)
    result: dict[str, dict[str, Summary]] = {}
    for problem, proposer in dict.fromkeys((run.problem, run.proposer) for run in runs):
        own = [run for run in runs if (run.problem, run.proposer) == (problem, proposer)]
        curves = np.array([regret(run, known[problem, run.seed]) for run in own])
        errors = curves.std(0, ddof=1) / len(own) ** 0.5 if len(own) > 1 else 0 * curves[0]
        result.setdefault(problem, {})[proposer] = Summary(
            regret=curves.mean(0).tolist(),
            standard_error=errors.tolist(),
            trials_to_share=[trials_to_share(run, known[problem, run.seed]) for run in own],
            median_seconds=statistics.median(s for run in own for s in run.seconds),
            total_seconds=statistics.median(sum(run.seconds) for run in own),
        )
    return result


def median_trials(summary: Summary) -> float:
    """Return the median of the trials to the share; infinite where most seeds do not get there."""
    return statistics.median(float("inf") if n is None else n for n in summary.trials_to_share)


def wins(runs: Sequence[Run], one: str, other: str) -> tuple[int, int, int]:
    """Count problems and seeds on which a proposer needs fewer trials than another.

    Where neither goes `SHARE` of the way, the smaller regret at the end wins.

    Returns:
        Wins, ties and losses of the first.
    """
    known = best_known(runs)
    by_key = {(run.problem, run.seed, run.proposer): run for run in runs}
    counts = [0, 0, 0]
    for problem, seed in known:
        pair = [by_key.get((problem, seed, name)) for name in (one, other)]
        if pair[0] is None or pair[1] is None:
            continue
        mine, theirs = (_standing(run, known[problem, seed]) for run in pair if run is not None)
        counts[0 if mine < theirs else 1 if mine == theirs else 2] += 1
    return counts[0], counts[1], counts[2]


def _standing(run: Run, optimum: float) -> tuple[float, float]:
    """Return what to compare by: fewer is better."""
    trials = trials_to_share(run, optimum)
    if trials is not None:
        return float(trials), 0.0
    return float("inf"), round(float(regret(run, optimum)[-1]), 6)
