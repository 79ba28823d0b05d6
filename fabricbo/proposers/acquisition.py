"""Picks the action that is worth most (see `improvement.py`), feasible by construction.

Scalars and roles are searched together: every candidate is a point of the unit cube that
`ActionSpace.from_unit` maps to an action, so windows, caps and whole numbers hold whatever the
search does. Where seconds are scarce, worth is worth a second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from linear_operator.utils.errors import NanError
from torch import Tensor

from fabricbo.proposers.cost import expected_seconds
from fabricbo.proposers.improvement import acquisition_function
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Action

_RANDOM_POINTS = 256
_MUTATIONS = 32
"""Around each of the best trials."""
_PARENTS = 4
_SEARCH_ROUNDS = 8
_STARTS = 4
_MOVES = 40
"""Around each start in each round of the local search."""
_CHUNK = 256
_FAR_OUT = 0.99
"""Where in the part of a strength: beyond its middle, where known actions are."""
_SAME = 1e-6
"""Features that differ by less in every column are those of the same images."""

Points = npt.NDArray[np.float64]


def best_action(
    surrogate: Surrogate, history: History, rng: np.random.Generator
) -> tuple[Action, bool]:
    """Return the best action found, and whether it can give images that no trial gave.

    It cannot where the search met no such action: all were tried, or nothing matters.
    """
    search = _Search(surrogate, history, rng)
    found = search.climb(search.score(search.first_points()))
    best = max(found, key=lambda candidate: candidate.value)
    if math.isfinite(best.value):
        return best.action, True
    tried = {trial.action for trial in history.trials}
    return next((c.action for c in found if c.action not in tried), best.action), False


def candidate_actions(
    surrogate: Surrogate, history: History, rng: np.random.Generator, count: int
) -> list[Action]:
    """Return actions among which the best one is likely to be: half the most promising, half any.

    Fewer where the space has no more.
    """
    search = _Search(surrogate, history, rng)
    first = search.score(search.first_points())
    found = sorted((*first, *search.climb(first)), key=lambda candidate: -candidate.value)
    actions = list(dict.fromkeys(candidate.action for candidate in found))
    promising, rest = actions[: count // 2], actions[count // 2 :]
    order = rng.permutation(len(rest))[: count - len(promising)]
    return [*promising, *(rest[i] for i in order)]


@dataclass(frozen=True, slots=True)
class _Candidate:
    action: Action
    value: float
    """Its acquisition value; minus infinity where it repeats a trial."""


class _Search:
    """What the search needs at every turn: it holds one acquisition and one generator."""

    def __init__(self, surrogate: Surrogate, history: History, rng: np.random.Generator) -> None:
        self._surrogate, self._history, self._rng = surrogate, history, rng
        self._seed = int(rng.integers(2**31))
        self._acquisition = acquisition_function(surrogate, history, self._seed)
        self._cost = expected_seconds(history) if history.spend == "seconds" else None
        self._tried = surrogate.rows([trial.action for trial in history.trials])
        self._scalars = len(history.space.parameters)

    def first_points(self) -> Points:
        """Return random points and mutations of the best trials, `n x d`."""
        dimensions = self._history.space.dimensions(self._history.pool)
        parents = self._parents()
        mutated = [self.moves(parent, _MUTATIONS, 0.2) for parent in parents]
        return np.vstack([self._rng.random((_RANDOM_POINTS, dimensions)), *mutated])

    def climb(self, found: list[_Candidate]) -> list[_Candidate]:
        """Search locally from the best candidates; returns where that led and how it got there."""
        for round_ in range(_SEARCH_ROUNDS):
            found = sorted(found, key=lambda candidate: -candidate.value)[:_STARTS]
            step = 0.25 * 0.6**round_
            moved = [self.moves(self._point(start.action), _MOVES, step) for start in found]
            found += self.score(np.vstack(moved))
        return found

    def moves(self, point: Points, count: int, step: float) -> Points:
        """Return neighbours of a point: scalars moved, a role changed, two exchanged, or both."""
        moved = np.tile(point, (count, 1))
        for row in moved:
            kind = self._rng.random()
            if kind < 0.6 or len(row) == self._scalars:
                self._move_scalars(row[: self._scalars], step)
            if kind > 0.4 and len(row) > self._scalars:
                self._move_roles(row[self._scalars :])
        return moved

    def _move_scalars(self, scalars: Points, step: float) -> None:
        if not len(scalars):
            return
        chosen = self._rng.random(len(scalars)) < 0.4
        chosen[self._rng.integers(len(scalars))] = True
        scalars += chosen * self._rng.normal(0, step, len(scalars))
        np.clip(scalars, 0, 1, out=scalars)

    def _move_roles(self, roles: Points) -> None:
        """Change a role or exchange two; what is far out wins where a cap is exceeded."""
        if len(roles) > 1 and self._rng.random() < 0.3:
            one, other = self._rng.choice(len(roles), 2, replace=False)
            roles[[one, other]] = roles[[other, one]]
        else:
            role = self._role()
            roles[self._rng.integers(len(roles))] = role

    def _role(self) -> float:
        """Draw a role, and a strength where these vary: a coordinate far out in its part."""
        end = float(self._rng.choice((0.0, 0.5, 1.0)))
        parts = len(self._history.space.strengths)
        if parts == 1 or end == 0.5:
            return end
        part = (self._rng.integers(parts) + _FAR_OUT) / parts
        return 0.5 + (end - 0.5) * (1 + 2 * part) / 3

    def score(self, points: Points) -> list[_Candidate]:
        """Return a candidate for each different action that the points (`n x d`) stand for."""
        space, pool = self._history.space, self._history.pool
        actions = list(dict.fromkeys(space.from_unit(point.tolist(), pool) for point in points))
        return [_Candidate(a, v) for a, v in zip(actions, self._values(actions), strict=True)]

    def _point(self, action: Action) -> Points:
        """Return an action's point of the unit cube, `d`."""
        return np.array(self._history.space.to_unit(action, self._history.pool))

    def _values(self, actions: Sequence[Action]) -> list[float]:
        rows = self._surrogate.rows(actions)
        with torch.no_grad():
            values = torch.cat([self._worth(chunk) for chunk in torch.split(rows, _CHUNK)])
        if values.isnan().all():
            raise NanError("the acquisition knows no number")
        if self._cost is not None:
            values = values - torch.tensor([math.log(self._cost(action)) for action in actions])
        values[~values.isfinite() | self._repeats(rows)] = -math.inf
        return values.tolist()

    def _worth(self, rows: Tensor) -> Tensor:
        """Rate rows, all with the same random numbers: BoTorch draws some anew at each call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            worth: Tensor = self._acquisition(rows.unsqueeze(-2))
        return worth

    def _repeats(self, rows: Tensor) -> Tensor:
        difference = (rows.unsqueeze(1) - self._tried.unsqueeze(0)).abs()
        return (difference < _SAME).all(-1).any(-1)

    def _parents(self) -> list[Points]:
        """Return the points of the trials with the best posterior means."""
        space, pool = self._history.space, self._history.pool
        trials = [t for t in self._history.trials if space.contains(t.action, pool)]
        if not trials:
            return []
        means = self._surrogate.means(self._surrogate.rows([trial.action for trial in trials]))
        objectives = 1 if self._history.preferences else len(self._history.objectives)
        best = _leaders(means[:, :objectives])[:_PARENTS]
        return [self._point(trials[i].action) for i in best]


def _leaders(means: Tensor) -> list[int]:
    """Return the rows of `n x m` means, the best by one objective after the other first."""
    orders = [column.argsort(descending=True, stable=True).tolist() for column in means.T]
    return list(dict.fromkeys(row for rank in zip(*orders, strict=True) for row in rank))
