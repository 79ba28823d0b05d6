"""What people prefer, as a Gaussian process over a utility that nobody sees.

BoTorch's `PairwiseGP` (Chu and Ghahramani 2005, "Preference Learning with Gaussian Processes";
Laplace approximation): one action is preferred to another with probability
Phi((u - u') / sqrt(2)), so the larger the variances of the kernel come out, the less noise its
raters have; how raters differ is in `raters`. A tie is one vote for each side. Scores, where trials
have some as well, say that one trial beats the next best by more than their noise; how far says
little about what people see.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from botorch.exceptions import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models.pairwise_gp import PairwiseGP, PairwiseLaplaceMarginalLogLikelihood
from gpytorch.kernels import ScaleKernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from fabricbo.proposers.kernel import ActionKernel
from fabricbo.proposers.raters import Habit, RaterLikelihood, Voice, habits
from fabricbo.protocols import History
from fabricbo.records import Trial
from fabricbo.scores import Preference, Score

logger = logging.getLogger(__name__)

_FIT_ITERATIONS = 60
FIT_ATTEMPTS = 3
_SCALE_PRIOR = (1.5, 0.7)
"""Mean and standard deviation of the logarithm of the variance that scales the kernel's."""


def judged_trials(history: History) -> list[Trial]:
    """Return the trials that were compared or have a score, in order."""
    compared = {index for one in history.preferences for index in (one.better, one.worse)}
    return [t for t in history.trials if t.index in compared or t.score is not None]


@dataclass(frozen=True, slots=True)
class Compared:
    """One trial that is better than another, by index, and who said so."""

    better: int
    worse: int
    voice: Voice = field(default_factory=Voice)


def comparisons(history: History) -> list[Compared]:
    """Return what people said, a tie as one vote for each side, then what scores say."""
    said = [one for preference in history.preferences for one in _votes(preference)]
    return [*said, *_by_scores(history)]


def fit_preferences(
    rows: Tensor,
    compared: Sequence[Compared],
    kernel: Callable[[], ActionKernel],
    attempts: int = FIT_ATTEMPTS,
) -> tuple[PairwiseGP, bool]:
    """Fit a utility to comparisons, then again with what that tells about each rater.

    Args:
        rows: features of the trials, `n x d`.
        compared: their rows, pair by pair.
        kernel: makes the covariance.
        attempts: how often a search for hyperparameters may begin; with 0 the prior's serve.

    Returns:
        The model, and False where the fit failed and the prior's hyperparameters serve.
    """
    pairs = torch.tensor([(one.better, one.worse) for one in compared], dtype=torch.long)
    voices = [one.voice for one in compared]
    model, fitted = _fitted(rows, pairs, kernel(), RaterLikelihood(voices, {}), attempts)
    with torch.no_grad():
        utilities = model.posterior(rows).mean.squeeze(-1)
    known = habits(voices, utilities[pairs[:, 0]] - utilities[pairs[:, 1]])
    if not fitted or all(habit == Habit() for habit in known.values()):
        return model, fitted
    return _fitted(rows, pairs, kernel(), RaterLikelihood(voices, known), attempts)


def _fitted(
    rows: Tensor,
    pairs: Tensor,
    kernel: ActionKernel,
    likelihood: RaterLikelihood,
    attempts: int,
) -> tuple[PairwiseGP, bool]:
    # Failing, a fit leaves its hyperparameters anywhere.
    centre = {name: value.clone() for name, value in kernel.state_dict().items()}
    model = _model(rows, pairs, kernel, likelihood)
    try:
        fit_gpytorch_mll(
            PairwiseLaplaceMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {"maxiter": _FIT_ITERATIONS}},
            max_attempts=attempts,
        )
    except (ModelFittingError, RuntimeError, ValueError) as error:
        logger.warning("fit of the preferences failed, using the prior's centre: %s", error)
        kernel.load_state_dict(centre)
        return _model(rows, pairs, kernel, likelihood).eval(), False
    return model.eval(), True


def _model(
    rows: Tensor, pairs: Tensor, kernel: ActionKernel, likelihood: RaterLikelihood
) -> PairwiseGP:
    """Return a model whose prior says how far apart utilities lie, in units of rating noise."""
    scaled = ScaleKernel(kernel, outputscale_prior=LogNormalPrior(*_SCALE_PRIOR))
    scaled.outputscale = math.exp(_SCALE_PRIOR[0])
    return PairwiseGP(
        rows, pairs, likelihood=likelihood, covar_module=scaled.double(), consolidate_atol=0.0
    )


def _votes(preference: Preference) -> list[Compared]:
    better, worse = preference.better, preference.worse
    side = 0 if preference.left is None else 1 if preference.left == better else -1
    said = Compared(better, worse, Voice(preference.rater, side))
    if not preference.tie:
        return [said]
    return [said, Compared(worse, better, Voice(preference.rater, -side))]


def _by_scores(history: History) -> list[Compared]:
    """Compare each scored trial with the next best that it beats beyond the noise."""
    sign = 1 if history.direction == "maximize" else -1
    scored = [(t.index, t.score) for t in history.trials if t.score is not None]
    ranked = sorted(scored, key=lambda pair: -sign * pair[1].mean)
    found = []
    for number, (better, score) in enumerate(ranked):
        beaten = (i for i, other in ranked[number + 1 :] if _differ(score, other))
        worse = next(beaten, None)
        if worse is not None:
            found.append(Compared(better, worse))
    return found


def _differ(one: Score, other: Score) -> bool:
    noise = math.hypot(one.standard_error or 0.0, other.standard_error or 0.0)
    return abs(one.mean - other.mean) > noise
