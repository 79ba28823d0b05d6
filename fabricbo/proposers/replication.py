"""Whether to draw a trial again with fresh seeds rather than something new.

Noise can leave open which trial is best. The knowledge gradient (Frazier, Powell and Dayanik
2009, "The Knowledge-Gradient Policy for Correlated Normal Beliefs") says by how much the best
expected score should rise once an action has been seen (again), be it by finding a better one or
by choosing better among those that are known; where seeing a trial again promises more than the
new action does, it is drawn again.
"""

import numpy as np
import torch
from torch import Tensor

from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Action

_NODES = 48
"""Of the Gauss-Hermite quadrature."""
_SEEN_AT_ONCE = 64


def worth_repeating(surrogate: Surrogate, history: History, other: Action) -> Action | None:
    """Return the tried action that is worth drawing again rather than another one, or None.

    None, too, where seeds are not known to be fresh, and beyond one objective without bounds.
    """
    if not history.seeds or history.preferences or len(history.measures) > 1:
        return None
    known = dict.fromkeys(trial.action for trial in history.trials if trial.score is not None)
    seen = {trial.action for trial in history.trials if trial.seeds == history.seeds}
    repeatable = [
        action
        for action in known
        if action not in seen and history.space.contains(action, history.pool)
    ]
    if not repeatable:
        return None
    actions = [*known, other]
    with torch.no_grad():
        posterior = surrogate.model.posterior(surrogate.rows(actions))
    means, covariance = posterior.mean.squeeze(-1), posterior.distribution.covariance_matrix
    gains = knowledge_gradients(means, covariance, surrogate.noise[0])
    best = max(repeatable, key=lambda action: float(gains[actions.index(action)]))
    return best if gains[actions.index(best)] > gains[-1] else None


def knowledge_gradients(means: Tensor, covariance: Tensor, noise: float) -> Tensor:
    """Return by how much the best expected score should rise when an action is seen: `n`.

    The last action is new: it can be chosen only if it is the one that is seen.

    Args:
        means: expected scores, `n`.
        covariance: of the same, `n x n`.
        noise: variance of what is seen.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    z = torch.from_numpy(points)
    spread = covariance / (covariance.diagonal() + noise).clamp_min(1e-12).sqrt()

    def best_after(seen: slice, among: slice) -> Tensor:
        # After action i is seen with surprise z, action j is expected to score
        # mean_j + spread_ji z.
        return (means[among, None, None] + spread[among, seen, None] * z).amax(0)

    # All actions at once would take as much memory as they are many, squared.
    known = slice(len(means) - 1)
    parts = [
        slice(i, min(i + _SEEN_AT_ONCE, known.stop)) for i in range(0, known.stop, _SEEN_AT_ONCE)
    ]
    choice = torch.cat(
        [*(best_after(part, known) for part in parts), best_after(slice(-1, None), slice(None))]
    )
    expected = choice @ torch.from_numpy(weights / weights.sum())
    gains: Tensor = expected - means[:-1].max()
    return gains
