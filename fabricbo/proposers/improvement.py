"""What an action is worth: expected improvement of one objective, of a Pareto front, of a choice.

- One objective: qLogNEI, the logarithm of the noisy expected improvement (Ament et al. 2023,
  "Unexpected Improvements to Expected Improvement for Bayesian Optimization").
- Several: qLogNEHVI, the same of the hypervolume that the Pareto front has above a reference
  point (Daulton et al. 2021, "Parallel Bayesian Optimization of Multiple Noisy Objectives with
  Expected Hypervolume Improvement").
- More than three: qLogNParEGO, the noisy expected improvement of their augmented Chebyshev
  scalarization with weights drawn anew each time (Knowles 2006, "ParEGO"; Daulton et al. 2020,
  the paper of qEHVI), since volumes take minutes there.
- Judged by people: qEUBO, the expected utility of the best option, here of the action and the
  best trial (Astudillo et al. 2023, "qEUBO: A Decision-Theoretic Acquisition Function for
  Preferential Bayesian Optimization"). Less the utility of the best trial, which is the same for
  all actions, that is the noisy expected improvement over it; its logarithm is what a cost in
  seconds can be set against.

Bounds weigh the improvement with the probability that they are kept; while no trial keeps them all,
that probability is all that counts. Pending trials count as seen without knowing what; see
`pending.py` for many of them.
"""

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement, qLogProbabilityOfFeasibility
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.sampling import sample_simplex
from torch import Tensor

from fabricbo.proposers.goal import bounds_of, none_keeps_all_bounds, reference_point
from fabricbo.proposers.pending import ImprovementAmongPending
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.proposers.uncompiled import leave_uncompiled
from fabricbo.protocols import History
from fabricbo.records import TrialStatus

_DRAWS = 64
_MOST_PENDING = 16
"""Pending trials that count while bounds are sought, the latest: each makes all draws larger."""
MOST_WITH_VOLUME = 3
"""Objectives whose hypervolume is computed."""


def acquisition_function(surrogate: Surrogate, history: History, seed: int) -> AcquisitionFunction:
    """Return what rates actions by their features: `b x 1 x d` to `b`, higher is better."""
    sampler = SobolQMCNormalSampler(torch.Size([_DRAWS]), seed=seed)
    pending = _pending(surrogate, history)
    bounds = bounds_of(surrogate, history)
    if none_keeps_all_bounds(surrogate, history):
        latest = None if pending is None else pending[-_MOST_PENDING:]
        return qLogProbabilityOfFeasibility(
            surrogate.with_bounds, bounds, sampler=sampler, X_pending=latest
        )
    if history.preferences:
        return _over_the_winner(surrogate, history, sampler, pending)
    objectives = history.objectives
    if len(objectives) > MOST_WITH_VOLUME:
        return qLogNParEGO(
            surrogate.model,
            X_baseline=surrogate.observed,
            scalarization_weights=sample_simplex(
                len(objectives), seed=seed, dtype=surrogate.observed.dtype
            ).squeeze(0),
            sampler=sampler,
            objective=IdentityMCMultiOutputObjective(outcomes=list(objectives)),
            constraints=bounds or None,
            X_pending=pending,
        )
    if len(objectives) > 1:
        leave_uncompiled()
        return qLogNoisyExpectedHypervolumeImprovement(
            surrogate.model,
            ref_point=reference_point(surrogate, history),
            X_baseline=surrogate.observed,
            sampler=sampler,
            objective=IdentityMCMultiOutputObjective(outcomes=list(objectives)),
            constraints=bounds or None,
            X_pending=pending,
            prune_baseline=True,
        )
    # Without pending trials there is little to be had from the quicker one.
    kind = qLogNoisyExpectedImprovement if pending is None else ImprovementAmongPending
    return kind(
        surrogate.model,
        X_baseline=surrogate.observed,
        sampler=sampler,
        objective=GenericMCObjective(_first_outcome) if bounds else None,
        constraints=bounds or None,
        X_pending=pending,
    )


def _over_the_winner(
    surrogate: Surrogate, history: History, sampler: SobolQMCNormalSampler, pending: Tensor | None
) -> AcquisitionFunction:
    """Return by how much an action should please more than the best trial, bounds kept."""
    bounds = bounds_of(surrogate, history)
    winner = surrogate.means(surrogate.observed)[:, 0].argmax()
    # Which trial is the best that keeps the bounds is decided draw by draw.
    options = surrogate.observed if bounds else surrogate.observed[winner].unsqueeze(0)
    return qLogNoisyExpectedImprovement(
        surrogate.with_bounds,
        X_baseline=options if pending is None else torch.cat((options, pending)),
        sampler=sampler,
        objective=GenericMCObjective(_first_outcome) if bounds else None,
        constraints=bounds or None,
        prune_baseline=False,
        cache_root=False,
    )


def _first_outcome(outcomes: Tensor, X: Tensor | None = None) -> Tensor:  # noqa: ARG001, N803
    return outcomes[..., 0]


def _pending(surrogate: Surrogate, history: History) -> Tensor | None:
    """Return the features of trials that are on their way, or wait for a first judgement."""
    judged = {index for one in history.preferences for index in (one.better, one.worse)}
    waiting = [
        trial
        for trial in history.trials
        if trial.status.is_pending
        or (trial.status is TrialStatus.AWAITING_RATING and trial.index not in judged)
    ]
    return surrogate.rows([trial.action for trial in waiting]) if waiting else None
