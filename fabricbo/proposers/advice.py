"""Whether to go on: how likely the best so far is near the best there is.

The surrogate is drawn from, many times, at the trials and at many other actions; in each draw
either one of the trials' best is within the tolerance of the draw's maximum or it is not. The
maximum is taken over actions that were looked at, and the surrogate is surer of itself than it
should be while it has seen little, so the share is drawn toward doubt by an amount that was fitted
on synthetic problems set apart for that (`experiments/calibrate_advice.py`), one where trials are
scored and one where people judge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fabricbo.assessment import Advice
from fabricbo.proposers.acquisition import candidate_actions
from fabricbo.proposers.preference import judged_trials
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Action, Trial

TOLERANCE = 0.1
"""Share of the range of expected scores of the trials so far within which two are as good."""
_ROUNDING = 1e-12
"""Difference of scores that are the same, as a share of them."""
_CANDIDATES = 384
_DRAWS = 512
_ENOUGH_SCORED = 5
"""Trials with a score from which on there is advice."""
_ENOUGH_JUDGED = 8
"""Comparisons from which on there is advice."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What turns the logit of the share of draws into that of a probability; fitted, see above."""

    slope: float
    offset: float


SCORED = Doubt(0.44, 0.24)
JUDGED = Doubt(0.35, 0.64)


def advise(
    surrogate: Surrogate, history: History, best: Trial, rng: np.random.Generator
) -> Advice | None:
    """Say how likely the best trial is within the tolerance of the best action there is.

    None while too little is known; where that was never calibrated, beyond one objective without
    bounds; and where all trials are alike, so that nothing tells how far apart they may lie.
    """
    if len(history.measures) > 1:
        return None
    if history.preferences:
        return _advise_on_judged(surrogate, history, best, rng)
    done = [trial.action for trial in history.trials if trial.score is not None]
    if len(done) < _ENOUGH_SCORED or _all_alike(history):
        return None
    tolerance = TOLERANCE * _range(surrogate, done)
    gains = _gains(surrogate, history, best, rng)
    raw = float((gains <= tolerance).double().mean())
    return Advice(calibrated(raw, SCORED), tolerance, float(gains.mean()))


def _advise_on_judged(
    surrogate: Surrogate, history: History, best: Trial, rng: np.random.Generator
) -> Advice | None:
    """Do the same in shares of the range of utilities, whose own unit says nothing."""
    if len(history.preferences) < _ENOUGH_JUDGED:
        return None
    between = _range(surrogate, [trial.action for trial in judged_trials(history)])
    if between <= _ROUNDING:
        return None
    gains = _gains(surrogate, history, best, rng) / between
    raw = float((gains <= TOLERANCE).double().mean())
    return Advice(calibrated(raw, JUDGED), TOLERANCE, float(gains.mean()))


def _range(surrogate: Surrogate, actions: Sequence[Action]) -> float:
    """Return how far the expected scores of actions lie apart."""
    estimates = [estimate.mean for (estimate,) in surrogate.estimates(actions)]
    return max(estimates) - min(estimates)


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


def calibrated(raw: float, doubt: Doubt) -> float:
    """Return the probability that a raw share of draws stands for."""
    return 1 / (1 + math.exp(-(doubt.slope * logit(raw) + doubt.offset)))


def logit(raw: float) -> float:
    """Return the logit of a share of draws, kept off 0 and 1 by half a draw."""
    bounded = min(max(raw, 0.5 / _DRAWS), 1 - 0.5 / _DRAWS)
    return math.log(bounded / (1 - bounded))


def raw_logit(probability: float, doubt: Doubt) -> float:
    """Return the logit of the share of draws that became a probability; for calibrating anew."""
    return (math.log(probability / (1 - probability)) - doubt.offset) / doubt.slope
