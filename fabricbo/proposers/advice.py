"""Whether to go on: how likely the best so far is near the best there is.

The surrogate is drawn from, many times, at the trials and at many other actions; in each draw
either one of the trials' best is within the tolerance of the draw's maximum or it is not. The
maximum is taken over actions that were looked at, and the surrogate is surer of itself than it
should be while it has seen little, so the share is drawn toward doubt by an amount that was fitted
on synthetic problems set apart for that (`experiments/calibrate_advice.py`).
"""

import math

import numpy as np
import torch
from torch import Tensor

from fabricbo.assessment import Advice
from fabricbo.proposers.acquisition import candidate_actions
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Trial

TOLERANCE = 0.1
"""Share of the range of expected scores of the trials so far within which two are as good."""
_ROUNDING = 1e-12
"""Difference of scores that are the same, as a share of them."""
_CANDIDATES = 384
_DRAWS = 512
_SLOPE, _OFFSET = 0.44, 0.24
"""Of the logit of the raw share; fitted, see above."""


def advise(
    surrogate: Surrogate, history: History, best: Trial, rng: np.random.Generator
) -> Advice | None:
    """Say how likely the best trial is within the tolerance of the best action there is.

    None where that was never calibrated, beyond one objective without bounds; and where all
    trials score the same, so that nothing is known of how far apart scores may lie.
    """
    if history.preferences or len(history.measures) > 1 or _all_alike(history):
        return None
    done = [trial.action for trial in history.trials if trial.score is not None]
    estimates = [estimate.mean for (estimate,) in surrogate.estimates(done)]
    tolerance = TOLERANCE * (max(estimates) - min(estimates))
    gains = _gains(surrogate, history, best, rng)
    raw = float((gains <= tolerance).double().mean())
    return Advice(calibrated(raw), tolerance, float(gains.mean()))


def _all_alike(history: History) -> bool:
    means = [trial.score.mean for trial in history.trials if trial.score is not None]
    return max(means) - min(means) <= _ROUNDING * max(map(abs, means))


def _gains(surrogate: Surrogate, history: History, best: Trial, rng: np.random.Generator) -> Tensor:
    """Draw by how much the best action beats a trial, in units of the score: `draws`."""
    actions = candidate_actions(surrogate, history, rng, _CANDIDATES)
    rows = surrogate.rows([best.action, *actions])
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        draws = surrogate.model.posterior(rows).rsample(torch.Size([_DRAWS])).squeeze(-1)
    gains: Tensor = (draws.amax(-1) - draws[:, 0]) * surrogate.units[0].scale
    return gains


def calibrated(raw: float) -> float:
    """Return the probability that a raw share of draws stands for."""
    return 1 / (1 + math.exp(-(_SLOPE * logit(raw) + _OFFSET)))


def logit(raw: float) -> float:
    """Return the logit of a share of draws, kept off 0 and 1 by half a draw."""
    bounded = min(max(raw, 0.5 / _DRAWS), 1 - 0.5 / _DRAWS)
    return math.log(bounded / (1 - bounded))


def raw_logit(probability: float) -> float:
    """Return the logit of the share of draws that became a probability; for calibrating anew."""
    return (math.log(probability / (1 - probability)) - _OFFSET) / _SLOPE
