"""What outcomes come to: the best one of an objective, or the volume under a front, bounds kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from fabricbo.best import broken_bounds
from fabricbo.proposers.surrogate import Surrogate, Unit
from fabricbo.protocols import History
from fabricbo.scores import Measure

_EXACT_TO = 0.01
"""What expected outcomes are exact to, in standard deviations of the scores."""
Constraint = Callable[[Tensor], Tensor]
"""Outcomes, `... x m`, to what is at most 0 where a bound is kept: `...`."""


@dataclass(frozen=True)
class Goal:
    """What a study is after, in the units of its surrogate's outcomes."""

    objectives: tuple[int, ...]
    """Which of the outcomes."""
    bounds: tuple[Constraint, ...]
    nothing: Tensor
    """What an action that breaks a bound counts as, one an objective; with several of them also
    where the volume begins."""

    def __call__(self, outcomes: Tensor) -> Tensor:
        """Return what several actions together come to: `... x n x m` to `...`.

        Of one objective the largest outcome that keeps all bounds, of several the hypervolume
        between the Pareto front and the reference point.
        """
        wanted = outcomes[..., list(self.objectives)]
        if self.bounds:
            broken = torch.stack([bound(outcomes) > 0 for bound in self.bounds]).any(0)
            wanted = torch.where(broken.unsqueeze(-1), self.nothing, wanted)
        if len(self.objectives) == 1:
            return wanted.squeeze(-1).amax(-1)
        return hypervolume(wanted - self.nothing)


def goal_of(surrogate: Surrogate, history: History) -> Goal:
    """Return what a study is after, where its trials are scored."""
    objectives = history.objectives
    if len(objectives) > 1:
        nothing = reference_point(surrogate, history)
    else:
        nothing = surrogate.means(surrogate.observed)[:, list(objectives)].amin(0)
    return Goal(objectives, tuple(bounds_of(surrogate, history)), nothing)


def hypervolume(points: Tensor) -> Tensor:
    """Return the volume that points dominate above 0: `... x n x m` to `...`.

    By sweeping: sorted by the last coordinate, each point adds a slice, as thick as the step down
    to the next one, whose base is the volume of the points so far in the other coordinates.
    BoTorch's decompositions take minutes for thousands of sets of points.
    """
    points = points.clamp_min(0)
    if points.shape[-1] == 1:
        return points.squeeze(-1).amax(-1)
    order = points[..., -1].argsort(-1, descending=True)
    points = points.gather(-2, order.unsqueeze(-1).expand_as(points))
    heights = points[..., -1]
    steps = heights - torch.nn.functional.pad(heights[..., 1:], (0, 1))
    if points.shape[-1] == 2:
        bases = points[..., 0].cummax(-1).values
    else:
        count = points.shape[-2]
        bases = torch.stack([hypervolume(points[..., : i + 1, :-1]) for i in range(count)], -1)
    volume: Tensor = (steps * bases).sum(-1)
    return volume


def bounds_of(surrogate: Surrogate, history: History) -> list[Constraint]:
    """Return a function for each bound, of outcomes of `surrogate.with_bounds`."""
    return constraints(_outcomes(surrogate, history))


def constraints(outcomes: Sequence[tuple[Measure, Unit]]) -> list[Constraint]:
    """Return a function for each bound, given what the outcomes of a model stand for."""
    found: list[Constraint] = []
    for index, (measure, unit) in enumerate(outcomes):
        for bound, side in ((measure.at_least, -1.0), (measure.at_most, 1.0)):
            if bound is not None:
                found.append(partial(_excess, index=index, unit=unit, bound=bound, side=side))
    return found


def _outcomes(surrogate: Surrogate, history: History) -> list[tuple[Measure, Unit]]:
    """Return what the outcomes of `surrogate.with_bounds` stand for.

    Where people judge, the first is a utility, whatever the objectives measure.
    """
    if not history.preferences:
        return list(zip(history.measures, surrogate.units, strict=True))
    (utility,) = surrogate.units
    return [(Measure("utility"), utility), *((b.measure, b.unit) for b in surrogate.bounded)]


def _excess(outcomes: Tensor, *, index: int, unit: Unit, bound: float, side: float) -> Tensor:
    """Return by how much a bound is missed, in standard deviations of the scores."""
    outcome = outcomes[..., index]
    return side * (unit.sign * outcome - (bound - unit.centre) / unit.scale)


def none_keeps_all_bounds(surrogate: Surrogate, history: History) -> bool:
    """Tell whether all that was measured breaks some bound, and is expected to."""
    if not bounds_of(surrogate, history) or bool(_expected_to_keep(surrogate, history).any()):
        return False
    measured = [trial for trial in history.trials if trial.by_measure(history.measures)]
    return all(broken_bounds(trial, history.measures, {}) for trial in measured)


def _expected_to_keep(surrogate: Surrogate, history: History) -> Tensor:
    """Return which of the trials seen are expected to keep all bounds, as far as that is known."""
    with torch.no_grad():
        means = surrogate.with_bounds.posterior(surrogate.observed).mean
    excesses = [bound(means) for bound in bounds_of(surrogate, history)]
    if not excesses:
        return torch.ones(len(means), dtype=torch.bool)
    return (torch.stack(excesses) <= _EXACT_TO).all(0)


def reference_point(surrogate: Surrogate, history: History) -> Tensor:
    """Return what counts as nothing gained, one an objective.

    As given, else a little below the worst of the front: of the trials that are expected to keep
    all bounds, if there are any.
    """
    objectives = list(history.objectives)
    means = surrogate.means(surrogate.observed)[:, objectives]
    given = [(history.measures[i].reference_point, surrogate.units[i]) for i in objectives]
    points = torch.tensor(
        [torch.nan if p is None else unit.outcome(p) for p, unit in given], dtype=means.dtype
    )
    kept = _expected_to_keep(surrogate, history)
    means = means[kept] if kept.any() else means
    front = means[is_non_dominated(means)]
    inferred = infer_reference_point(front, max_ref_point=None)
    return torch.where(points.isnan(), inferred, points)
