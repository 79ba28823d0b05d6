"""What the surrogate learnt, in pictures' terms: which references help, what each setting does.

Everything is told around one trial, the best: what is expected to change when one thing changes
and all else stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from botorch.models.model import Model
from torch import Tensor

from fabricbo.assessment import Estimate, ReferenceEffect, Slice
from fabricbo.proposers.surrogate import Surrogate, Unit
from fabricbo.protocols import History
from fabricbo.records import Action, FabricParams, Reference, Role, Trial
from fabricbo.space import Choice, Domain

_POINTS = 33
"""Of a slice."""


def reference_effects(
    surrogate: Surrogate, history: History, best: Trial
) -> tuple[ReferenceEffect, ...]:
    """Return what each reference of the pool does at the best trial's settings, by measure.

    Caps do not count here: it is told what a reference would do, not what may be drawn. It has the
    strength that it has there, 1 where it is unused.
    """
    pool = history.pool
    if not pool or not history.space.roles:
        return ()
    roles = (Role.UNUSED, Role.LIKED, Role.DISLIKED)
    actions = [_with_role(best.action, reference, role) for reference in pool for role in roles]
    rows = surrogate.rows(actions)
    return tuple(
        ReferenceEffect(reference.id, *changes, measure=number)
        for number, (model, unit) in enumerate(zip(surrogate.models, surrogate.units, strict=True))
        for reference, changes in zip(pool, _changes(model, unit, rows), strict=True)
    )


def _changes(model: Model, unit: Unit, rows: Tensor) -> Iterator[tuple[Estimate, Estimate]]:
    """Return what liking and disliking change, for rows of unused, liked, disliked: `3 r x d`."""
    with torch.no_grad():
        posterior = model.posterior(rows)
        means, covariance = posterior.mean.squeeze(-1), posterior.distribution.covariance_matrix
    for unused in range(0, len(rows), 3):
        liked, disliked = (
            Estimate(
                unit.sign * unit.scale * float(means[other] - means[unused]),
                unit.scale * _deviation_of_difference(covariance, other, unused),
            )
            for other in (unused + 1, unused + 2)
        )
        yield liked, disliked


def _deviation_of_difference(covariance: Tensor, one: int, other: int) -> float:
    variance = covariance[one, one] + covariance[other, other] - 2 * covariance[one, other]
    return float(variance.clamp_min(0).sqrt())


def slices(surrogate: Surrogate, history: History, best: Trial) -> tuple[Slice, ...]:
    """Return how expected scores depend on each parameter that varies, by measure."""
    found = []
    for name in history.space.parameters:
        tried = grid(name, history.space.domains[name], _POINTS)
        actions = {value: with_values(best.action, {name: value}) for value in tried}
        possible = {value: action for value, action in actions.items() if action is not None}
        if len(possible) < 2:
            continue
        values = tuple(possible)
        estimates = surrogate.estimates(list(possible.values()))
        for number in range(len(surrogate.units)):
            of_measure = tuple(estimate[number] for estimate in estimates)
            found.append(Slice(name, values, of_measure, measure=number))
    return tuple(found)


def _with_role(action: Action, reference: Reference, role: Role) -> Action:
    liked = [r for r in action.liked if r != reference]
    disliked = [r for r in action.disliked if r != reference]
    if role is Role.LIKED:
        liked.append(reference)
    if role is Role.DISLIKED:
        disliked.append(reference)
    strengths = dict(action.strengths)
    if role is Role.UNUSED:
        strengths.pop(reference.id, None)
    return replace(action, liked=tuple(liked), disliked=tuple(disliked), strengths=strengths)


def with_values(action: Action, values: Mapping[str, float]) -> Action | None:
    """Return the action with other values of some parameters; None where the window is none."""
    changed = {**action.params.to_json(), **values}
    if changed["feedback_start"] > changed["feedback_end"]:
        return None
    return replace(action, params=FabricParams.from_json(changed))


def grid(name: str, domain: Domain, points: int) -> Sequence[float]:
    """Return values of a parameter from its lowest to its highest, so many at most of a range."""
    if isinstance(domain, Choice):
        return sorted(domain.values)
    values = [domain.from_unit(position) for position in np.linspace(0, 1, points).tolist()]
    whole = name == "denoising_steps"
    return sorted({float(round(value)) for value in values}) if whole else values
