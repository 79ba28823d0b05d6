"""What counts of a trial that has several prompts."""

import math
from collections.abc import Sequence

from fabricbo.scores import Measure, OverPrompts, Score
from fabricbo.study.settings import StudySettings


def score_over_prompts(
    values: Sequence[float], prompts: int, settings: StudySettings, measure: Measure
) -> Score:
    """Return a score of values that come prompt after prompt.

    The worst prompt is the one with the lowest mean where higher is better; where a measure has
    bounds to keep, the one that is nearest to breaking them, or breaks them most.

    Raises:
        ValueError: not as many for each prompt, or one that is not finite.
    """
    if settings.over_prompts == "mean":
        return Score(tuple(values), prompts)
    return min(
        (Score(tuple(values), prompts, over) for over in _ENDS),
        key=lambda score: _worth(score.mean, measure),
    )


_ENDS: tuple[OverPrompts, ...] = ("min", "max")


def _worth(mean: float, measure: Measure) -> float:
    """Return how far a mean lies within the bounds, or how good it is where there are none."""
    if not measure.is_constraint:
        return mean if measure.direction == "maximize" else -mean
    low = math.inf if measure.at_least is None else mean - measure.at_least
    high = math.inf if measure.at_most is None else measure.at_most - mean
    return min(low, high)
