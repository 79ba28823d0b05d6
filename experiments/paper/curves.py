"""From outcomes to curves: a measure by round, with bootstrap intervals over prompts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.paper.results import Outcome, RoundResult

Values = npt.NDArray[np.float64]
"""`tasks rounds`; not a number where a measure does not exist in the first round."""

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over prompts and its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


def bootstrap(values: Sequence[float] | Values, seed: int = 0) -> Interval:
    """Return the mean over prompts with the percentile interval of resampled prompts.

    Raises:
        ValueError: no value.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"expected one value a prompt, got an array of shape {array.shape}")
    rng = np.random.default_rng(seed)
    means = array[rng.integers(0, len(array), (RESAMPLES, len(array)))].mean(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(array.mean()), float(low), float(high))


def _of_round(measure: Callable[[RoundResult], float | None]) -> Callable[[Outcome], list[float]]:
    def by_round(outcome: Outcome) -> list[float]:
        found = (measure(one) for one in outcome.rounds)
        return [float("nan") if value is None else value for value in found]

    return by_round


def _best_so_far(outcome: Outcome) -> list[float]:
    return list(np.maximum.accumulate([max(one.scores) for one in outcome.rounds]))


def _judged_best_so_far(outcome: Outcome) -> list[float]:
    """Return what the judge says of the image that the scorer takes for the best so far."""
    found, best = [], (-float("inf"), float("nan"))
    for one in outcome.rounds:
        pairs = zip(one.scores, one.judged or (float("nan"),) * len(one.scores), strict=True)
        best = max([best, *pairs], key=lambda pair: pair[0])
        found.append(best[1])
    return found


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


MEASURES: Mapping[str, Callable[[Outcome], list[float]]] = {
    "score": _of_round(lambda one: _mean(one.scores)),
    "score_min": _of_round(lambda one: min(one.scores)),
    "score_max": _of_round(lambda one: max(one.scores)),
    "best": _best_so_far,
    "judge": _of_round(lambda one: _mean(one.judged)),
    "judge_best": _judged_best_so_far,
    "liked": _of_round(lambda one: one.liked),
    "disliked": _of_round(lambda one: one.disliked),
    "diversity": _of_round(lambda one: one.diversity),
    "evaluations": _of_round(lambda one: one.evaluations),
}
"""What can be told of an outcome, one number a round; `best` is over all rounds so far."""

Outcomes = Mapping[str, Sequence[Outcome]]
"""By system; the same tasks in the same order for all of them."""


def values(outcomes: Sequence[Outcome], measure: str) -> Values:
    """Return a measure of every task and round."""
    return np.array([MEASURES[measure](outcome) for outcome in outcomes], dtype=np.float64)


def curve(outcomes: Sequence[Outcome], measure: str) -> list[Interval | None]:
    """Return a measure by round; None where it does not exist."""
    columns = values(outcomes, measure).T
    return [None if np.isnan(column).any() else bootstrap(column) for column in columns]


def centred_curve(
    outcomes: Outcomes, measure: str, system: str, baseline: str
) -> list[Interval | None]:
    """Return a measure by round, every prompt shifted by its level under the baseline.

    The shifts come to nothing on average; the intervals then show what systems differ by, not what
    prompts do. Without the baseline nothing is shifted.
    """
    found = values(outcomes[system], measure)
    if baseline in outcomes:
        rounds = values(outcomes[baseline], measure)
        known = rounds[:, ~np.isnan(rounds).any(0)]
        if known.size:
            levels = known.mean(1)
            found = found - (levels - levels.mean())[:, None]
    return [None if np.isnan(column).any() else bootstrap(column) for column in found.T]


def difference(outcomes: Outcomes, measure: str, one: str, other: str) -> list[Interval | None]:
    """Return how much more one system has of a measure than another, by round, prompt by prompt."""
    first, second = (values(outcomes[name], measure) for name in (one, other))
    return [None if np.isnan(c).any() else bootstrap(c) for c in (first - second).T]


def as_rows(outcomes: Outcomes) -> list[dict[str, str | int | float]]:
    """Return all curves as a table: a row for each system, measure and round."""
    rows: list[dict[str, str | int | float]] = []
    for system, played in outcomes.items():
        for measure in MEASURES:
            for number, found in enumerate(curve(played, measure), start=1):
                if found is not None:
                    row = {"system": system, "measure": measure, "round": number}
                    rows.append({**row, "prompts": len(played), **vars(found)})
    return rows
