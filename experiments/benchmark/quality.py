"""How good a set of actions is: the best that keeps all bounds, or the front's hypervolume."""

from collections.abc import Sequence

import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated

from fabricbo.scores import Measure

Values = tuple[float, ...]
"""True scores of an action, one a measure."""


def as_values(given: float | tuple[float, ...]) -> Values:
    """Return what a problem gives, a number where it measures one thing."""
    return given if isinstance(given, tuple) else (float(given),)


def quality(measures: Sequence[Measure], values: Sequence[Values]) -> float:
    """Return what actions came to; the first are the hand settings.

    One objective: its best value among those that keep all bounds, the hand settings always
    counting. Several: the volume that the front of those covers above the reference points of
    the objectives, which the problem has to give.
    """
    objectives = [i for i, measure in enumerate(measures) if not measure.is_constraint]
    kept = [v for v in values if all(m.allows(x) for m, x in zip(measures, v, strict=True))]
    if len(objectives) == 1:
        choose = max if measures[0].direction == "maximize" else min
        return choose([values[0][0], *(v[0] for v in kept)])
    signs = [1 if measures[i].direction == "maximize" else -1 for i in objectives]
    points = torch.tensor(
        [[s * v[i] for i, s in zip(objectives, signs, strict=True)] for v in kept]
    ).reshape(-1, len(objectives))
    worst = [s * _reference_point(measures[i]) for i, s in zip(objectives, signs, strict=True)]
    front = points[is_non_dominated(points)] if len(points) else points
    return float(Hypervolume(torch.tensor(worst)).compute(front)) if len(front) else 0.0


def _reference_point(measure: Measure) -> float:
    if measure.reference_point is None:
        raise ValueError(
            f"a problem of several objectives needs a reference point of each, "
            f"{measure.name} has none"
        )
    return measure.reference_point
