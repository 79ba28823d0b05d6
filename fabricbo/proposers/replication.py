"""Whether to draw a trial again with fresh seeds rather than something new.

Noise can leave open which trial is best. The knowledge gradient (Frazier, Powell and Dayanik
2009, "The Knowledge-Gradient Policy for Correlated Normal Beliefs") says by how much what is
expected of the best action should rise once an action has been seen (again), be it by finding a
better one or by choosing better among those that are known; where seeing a trial again promises
more than the new action does, it is drawn again. With several objectives it is the hypervolume of
the front that should rise (Daulton, Balandat and Bakshy 2023, "Hypervolume Knowledge Gradient"),
and an action that is expected to break a bound counts as nothing, as when the best is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.sampling import draw_sobol_normal_samples
from torch import Tensor

from fabricbo.proposers.goal import Goal, goal_of
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Action

_NODES = 48
"""Of the Gauss-Hermite quadrature, where one thing is measured."""
_DRAWS = 64
"""Where several are, which are seen together."""
_SEEN_AT_ONCE = 64


@dataclass(frozen=True)
class Belief:
    """What is expected of `n` actions, of one measure."""

    means: Tensor
    """`n`."""
    covariance: Tensor
    """`n x n`."""
    noise: float
    """Variance of what is seen of an action."""

    def moves(self) -> Tensor:
        """Return by how much each action's mean moves with one's surprise: `n x n` seen."""
        deviation = (self.covariance.diagonal() + self.noise).clamp_min(1e-12).sqrt()
        return self.covariance / deviation


def worth_repeating(surrogate: Surrogate, history: History, other: Action) -> Action | None:
    """Return the tried action that is worth drawing again rather than another one, or None.

    None, too, where seeds are not known to be fresh, and where people judge.
    """
    if not history.seeds or history.preferences:
        return None
    known = dict.fromkeys(trial.action for trial in history.trials if trial.scores)
    seen = {trial.action for trial in history.trials if trial.seeds == history.seeds}
    repeatable = [
        action
        for action in known
        if action not in seen and history.space.contains(action, history.pool)
    ]
    if not repeatable:
        return None
    actions = [*known, other]
    gains = knowledge_gradients(_beliefs(surrogate, actions), goal_of(surrogate, history))
    best = max(repeatable, key=lambda action: float(gains[actions.index(action)]))
    return best if gains[actions.index(best)] > gains[-1] else None


def _beliefs(surrogate: Surrogate, actions: Sequence[Action]) -> list[Belief]:
    rows, found = surrogate.rows(actions), []
    for model, noise in zip(surrogate.models, surrogate.noise, strict=True):
        with torch.no_grad():
            posterior = model.posterior(rows)
        covariance = posterior.distribution.covariance_matrix
        found.append(Belief(posterior.mean.squeeze(-1), covariance, noise))
    return found


def knowledge_gradients(beliefs: Sequence[Belief], goal: Goal) -> Tensor:
    """Return by how much what is reached should rise when an action is seen: `n`.

    The last action is new: it can be chosen only if it is the one that is seen.

    Args:
        beliefs: one a measure.
        goal: what expected outcomes, `... x n x m`, come to.
    """
    surprises, weights = _quadrature(len(beliefs))
    means = torch.stack([belief.means for belief in beliefs], -1)
    moves = torch.stack([belief.moves() for belief in beliefs], -1)

    def reached_after(seen: slice, among: slice) -> Tensor:
        # After action i is seen with surprise z, action j is expected to score
        # mean_j + move_ji z.
        by_seen = moves[among, seen].transpose(0, 1).unsqueeze(1)
        return goal(means[among] + by_seen * surprises.unsqueeze(1))

    # All actions at once would take as much memory as they are many, squared.
    known = slice(len(means) - 1)
    parts = [
        slice(i, min(i + _SEEN_AT_ONCE, known.stop)) for i in range(0, known.stop, _SEEN_AT_ONCE)
    ]
    reached = torch.cat(
        [
            *(reached_after(part, known) for part in parts),
            reached_after(slice(-1, None), slice(None)),
        ]
    )
    gains: Tensor = reached @ weights - goal(means[:-1])
    return gains


def _quadrature(measures: int) -> tuple[Tensor, Tensor]:
    """Return standard normal surprises, `q x measures`, and their weights, `q`."""
    if measures == 1:
        points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        return torch.from_numpy(points).unsqueeze(-1), torch.from_numpy(weights / weights.sum())
    points = draw_sobol_normal_samples(measures, _DRAWS, seed=0, dtype=torch.float64)
    return points, torch.full((_DRAWS,), 1 / _DRAWS, dtype=torch.float64)
