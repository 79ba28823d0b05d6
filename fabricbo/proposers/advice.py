"""Whether to go on: how likely the best so far is near the best there is.

The surrogate is drawn from, many times, at the trials and at many other actions; in each draw
either one of the trials' best is within the tolerance of the draw's maximum or it is not. With
bounds the maximum is that of the actions that keep them in the draw; with several objectives it is
the hypervolume of the trials' front that is compared with that of all actions. The maximum is
taken over actions that were looked at, and the surrogate is surer of itself than it should be
while it has seen little, so the share is drawn toward doubt by an amount that was fitted on
synthetic problems set apart for that (`experiments/calibrate_advice.py`): where trials are scored,
where there are bounds or several objectives besides, and where people judge, bounds or none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fabricbo.assessment import Advice
from fabricbo.proposers.acquisition import candidate_actions
from fabricbo.proposers.goal import bounds_of, goal_of
from fabricbo.proposers.improvement import MOST_WITH_VOLUME
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
_FRONT_DRAWS = 128
_MOSTLY = 0.5
"""Share of draws without any volume above which there is nothing to have a share of."""
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
BOUNDED = Doubt(0.60, 1.04)
FRONT = Doubt(0.94, -0.17)
JUDGED = Doubt(0.35, 0.64)
JUDGED_BOUNDED = Doubt(0.25, -0.90)


def advise(
    surrogate: Surrogate, history: History, best: Trial, rng: np.random.Generator
) -> Advice | None:
    """Say how likely the best trial is within the tolerance of the best action there is.

    The best trial keeps all bounds: where none does, what is sought is one that does.

    None while too little is known; where all trials are alike, so that nothing tells how far
    apart they may lie; where nothing gets beyond the reference point; and with more than three
    objectives, whose volumes take too long.
    """
    if history.preferences:
        return _advise_on_judged(surrogate, history, best, rng)
    done = [trial for trial in history.trials if trial.scores]
    if len(done) < _ENOUGH_SCORED or _all_alike(history):
        return None
    if len(history.objectives) > 1:
        return _advise_on_front(surrogate, history, rng)
    tolerance = TOLERANCE * _range(surrogate, [trial.action for trial in done])
    gains = _gains(surrogate, history, best, rng)
    raw = float((gains <= tolerance).double().mean())
    doubt = BOUNDED if len(history.measures) > 1 else SCORED
    return Advice(calibrated(raw, doubt), tolerance, float(gains.mean()))


def _advise_on_judged(
    surrogate: Surrogate, history: History, best: Trial, rng: np.random.Generator
) -> Advice | None:
    """Do the same in shares of the range of utilities, whose own unit says nothing."""
    unknown = sum(measure.is_constraint for measure in history.measures) > len(surrogate.bounded)
    if unknown or len(history.preferences) < _ENOUGH_JUDGED:
        return None
    between = _range(surrogate, [trial.action for trial in judged_trials(history)])
    if between <= _ROUNDING:
        return None
    gains = _gains(surrogate, history, best, rng) / between
    raw = float((gains <= TOLERANCE).double().mean())
    doubt = JUDGED_BOUNDED if surrogate.bounded else JUDGED
    return Advice(calibrated(raw, doubt), TOLERANCE, float(gains.mean()))


def _advise_on_front(
    surrogate: Surrogate, history: History, rng: np.random.Generator
) -> Advice | None:
    """Do the same in shares of the volume that all actions together cover."""
    if len(history.objectives) > MOST_WITH_VOLUME:
        return None
    tried = [trial.action for trial in history.trials if trial.scores]
    draws = _draws(surrogate, history, tried, rng, _FRONT_DRAWS)
    reached = goal_of(surrogate, history)
    whole = reached(draws)
    if (whole <= _ROUNDING).double().mean() > _MOSTLY:
        return None
    missing = (whole - reached(draws[:, : len(tried)])) / whole.clamp_min(_ROUNDING)
    raw = float((missing <= TOLERANCE).double().mean())
    return Advice(calibrated(raw, FRONT), TOLERANCE, float(missing.mean()))


def _range(surrogate: Surrogate, actions: Sequence[Action]) -> float:
    """Return how far the expected scores of actions lie apart."""
    estimates = [first.mean for first, *_ in surrogate.estimates(actions)]
    return max(estimates) - min(estimates)


def _all_alike(history: History) -> bool:
    """Tell whether no objective differs from trial to trial."""
    columns = [
        [trial.scores[number].mean for trial in history.trials if trial.scores]
        for number in history.objectives
    ]
    return all(max(m) - min(m) <= _ROUNDING * max(map(abs, m)) for m in columns)


def _gains(surrogate: Surrogate, history: History, best: Trial, rng: np.random.Generator) -> Tensor:
    """Draw by how much the best action beats a trial, in units of the score: `draws`.

    Of the other actions those count that keep all bounds.
    """
    draws = _draws(surrogate, history, [best.action], rng, _DRAWS)
    own, others = draws[:, 0, 0], draws[..., 0]
    for bound in bounds_of(surrogate, history):
        others = others.masked_fill(bound(draws) > 0, -math.inf)
    gains: Tensor = (others.amax(-1) - own).clamp_min(0) * surrogate.units[0].scale
    return gains


def _draws(
    surrogate: Surrogate,
    history: History,
    actions: Sequence[Action],
    rng: np.random.Generator,
    count: int,
) -> Tensor:
    """Draw the outcomes of actions and of those among which the best may be: `count x n x m`."""
    candidates = candidate_actions(surrogate, history, rng, _CANDIDATES)
    rows = surrogate.rows([*actions, *candidates])
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        draws: Tensor = surrogate.with_bounds.posterior(rows).rsample(torch.Size([count]))
    return draws


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
