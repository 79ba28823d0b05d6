"""How long a trial should take, from how long trials took.

Every denoising step costs something, and every reference something more at each step where it is
attended to. What, the seconds of the trials say: non-negative least squares, so that more work
never comes out cheaper.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from fabricbo.protocols import History
from fabricbo.records import Action, TrialStatus

_ENOUGH = 5
"""Trials whose seconds are known."""


def expected_seconds(history: History) -> Callable[[Action], float] | None:
    """Return what tells how many seconds an action takes; None before enough trials were timed.

    The first trial is left out where others were timed: it pays for what is loaded once.
    """
    over = (TrialStatus.DONE, TrialStatus.AWAITING_RATING)
    timed = [(t.action, t.seconds) for t in history.trials[1:] if t.seconds and t.status in over]
    if len(timed) < _ENOUGH:
        return None
    work = np.array([_work(action) for action, _ in timed])
    seconds = np.array([seconds for _, seconds in timed])
    # Each trial counts by its relative error: a slow one must not drown the others.
    rates, _ = nnls(work / seconds[:, None], np.ones(len(seconds)))
    least = float(seconds.min()) / 10

    def expected(action: Action) -> float:
        return max(float(_work(action) @ rates), least)

    return expected


def _work(action: Action) -> npt.NDArray[np.float64]:
    """Return what a trial pays for: itself, its denoising steps, references at these steps."""
    params, steps = action.params, action.params.denoising_steps
    inside = len(params.window(steps))
    active = inside * (params.max_weight > 0) + (steps - inside) * (params.min_weight > 0)
    references = len(action.liked) + len(action.disliked) * (params.neg_scale > 0)
    return np.array([1.0, steps, active * references])
