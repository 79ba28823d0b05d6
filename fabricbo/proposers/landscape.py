"""The surrogate's view of the whole space: which inputs matter, and pairs of them together."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import qmc
from torch import Tensor

from fabricbo.assessment import Contour, Sensitivity
from fabricbo.proposers.insight import grid, with_values
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Action, Trial
from fabricbo.space import ActionSpace

REFERENCES = "references"
"""The name of the choice of all references, as one input."""
_SAMPLES = 128
"""Actions that each estimate of a share rests on; a power of 2, as Sobol sequences want."""
_DRAWS = 64
_INTERVAL = (0.025, 0.975)
_SIDE = 17
"""Points of a contour along each parameter, at most."""
_MOST_PARAMETERS = 3
"""Those that matter most are paired in contours."""


def sensitivities(
    surrogate: Surrogate, history: History, rng: np.random.Generator
) -> tuple[Sensitivity, ...]:
    """Return how much each input matters to each measure, those that matter most first.

    Total Sobol indices by Jansen's estimator ("Analysis of variance designs for model output",
    1999), of functions drawn from the posterior: what is not known widens the interval. None where
    fewer than two things vary.
    """
    inputs = _inputs(history)
    if len(inputs) < 2:
        return ()
    actions = _designs(history, list(inputs.values()), rng)
    rows = surrogate.rows(actions)
    found = []
    for number, model in enumerate(surrogate.models):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            draws = model.posterior(rows).rsample(torch.Size([_DRAWS])).squeeze(-1)
        shares = _shares(draws.reshape(_DRAWS, len(inputs) + 2, -1))
        low, middle, high = torch.quantile(
            shares, torch.tensor([_INTERVAL[0], 0.5, _INTERVAL[1]], dtype=shares.dtype), dim=0
        ).tolist()
        ranked = zip(inputs, middle, low, high, strict=True)
        found += [
            Sensitivity(*one, measure=number) for one in sorted(ranked, key=lambda one: -one[1])
        ]
    return tuple(found)


def _inputs(history: History) -> dict[str, list[int]]:
    """Return which coordinates of the unit cube belong to each input."""
    parameters = history.space.parameters
    found = {name: [place] for place, name in enumerate(parameters)}
    rest = range(len(parameters), history.space.dimensions(history.pool))
    return found | ({REFERENCES: list(rest)} if rest else {})


def _designs(
    history: History, inputs: Sequence[Sequence[int]], rng: np.random.Generator
) -> list[Action]:
    """Return two samples of actions, then the first with each input as in the second."""
    space, pool = history.space, history.pool
    dimensions = space.dimensions(pool)
    sequence = qmc.Sobol(2 * dimensions, seed=rng)
    points = sequence.random(_SAMPLES)
    first, second = points[:, :dimensions], points[:, dimensions:]
    designs = [first, second]
    for places in inputs:
        mixed = first.copy()
        mixed[:, places] = second[:, places]
        designs.append(mixed)
    return [action for design in designs for action in _actions(space, design, history)]


def _actions(space: ActionSpace, points: npt.NDArray[np.float64], history: History) -> list[Action]:
    return [space.from_unit(point, history.pool) for point in points.tolist()]


def _shares(draws: Tensor) -> Tensor:
    """Return the total indices of each draw, `draws x inputs`.

    Args:
        draws: of the first sample, the second, and the mixed ones: `draws x inputs + 2 x n`.
    """
    base, mixed = draws[:, :1], draws[:, 2:]
    variance = draws[:, :2].flatten(1).var(-1, correction=0).clamp_min(1e-12)
    due = (base - mixed).square().mean(-1) / 2
    return (due / variance.unsqueeze(-1)).clamp(0, 1)


def contours(
    surrogate: Surrogate, history: History, best: Trial, found: Sequence[Sensitivity]
) -> tuple[Contour, ...]:
    """Return the first objective over pairs of the parameters that matter most to it.

    Args:
        surrogate: fitted.
        history: what it was fitted to.
        best: all that is not varied is as in this trial.
        found: what matters how much.
    """
    ranked = [one.name for one in found if one.measure == 0 and one.name != REFERENCES]
    return tuple(
        _contour(surrogate, history, best.action, pair)
        for pair in combinations(ranked[:_MOST_PARAMETERS], 2)
    )


def _contour(
    surrogate: Surrogate, history: History, action: Action, pair: tuple[str, str]
) -> Contour:
    across, up = pair
    domains = history.space.domains
    wide, high = (tuple(grid(name, domains[name], _SIDE)) for name in pair)
    cells = [with_values(action, {across: x, up: y}) for y in high for x in wide]
    known = surrogate.estimates([cell for cell in cells if cell is not None])
    estimates = iter([of_one[0] for of_one in known])
    flat = [None if cell is None else next(estimates) for cell in cells]
    rows = [tuple(flat[i : i + len(wide)]) for i in range(0, len(flat), len(wide))]
    return Contour(across, up, wide, high, tuple(rows))
