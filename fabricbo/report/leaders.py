"""Who led when: the best trial up to each, with what is expected of it.

What all trials together say of a trial stands in for the mean of its own images where there is
such a thing: the best of many noisy means is the luckiest, and would make every curve rise.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fabricbo.assessment import Estimate
from fabricbo.records import Trial
from fabricbo.report.wording import ERRORS
from fabricbo.scores import Direction


@dataclass(frozen=True)
class Lead:
    """The best trial at a moment."""

    at: int
    """Index of the trial after which it led."""
    trial: int
    mean: float
    error: float
    """Standard error; 0 where nobody knows it."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - ERRORS * self.error

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + ERRORS * self.error


def leads(
    trials: Sequence[Trial],
    direction: Direction,
    estimates: Mapping[int, tuple[Estimate, ...]],
    *,
    broken: Collection[int] = (),
) -> list[Lead]:
    """Return the lead after each trial with a score, from the first that keeps all bounds on.

    Args:
        trials: in order.
        direction: of the first objective.
        estimates: what trials are expected to score, by index; empty where nobody says.
        broken: indices of trials that break a bound; they never lead.
    """
    sign = 1 if direction == "maximize" else -1
    found: list[Lead] = []
    for trial in trials:
        if trial.score is None:
            continue
        last = found[-1] if found else None
        mean, error = expected(trial, estimates)
        ahead = last is None or sign * mean > sign * last.mean
        if trial.index not in broken and ahead:
            found.append(Lead(trial.index, trial.index, mean, error))
        elif last is not None:
            found.append(Lead(trial.index, last.trial, last.mean, last.error))
    return found


def expected(trial: Trial, estimates: Mapping[int, tuple[Estimate, ...]]) -> tuple[float, float]:
    """Return what a scored trial is expected to score, and the standard error of that."""
    if trial.index in estimates:
        first = estimates[trial.index][0]
        return first.mean, first.standard_error
    if trial.score is None:
        return math.nan, 0.0
    return trial.score.mean, trial.score.standard_error or 0.0
