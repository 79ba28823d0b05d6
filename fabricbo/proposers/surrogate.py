"""The surrogate: a Gaussian process from actions to scores, fitted to a history.

Scores are turned so that higher is better and standardised. Noise is known where a score has
several values (one for each image) and learnt where no score has. Hyperparameters are the
maximum of their posterior; where that search fails, the prior's centre serves.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from botorch.exceptions import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from fabricbo.proposers.embeddings import Embeddings
from fabricbo.proposers.features import FeatureMap
from fabricbo.proposers.kernel import ActionKernel
from fabricbo.protocols import Estimate, History
from fabricbo.records import Reference, Score, Trial, TrialStatus

logger = logging.getLogger(__name__)

_NOISE_FLOOR = 1e-4
"""Least noise variance, as a share of the variance of the scores."""
_PRIOR_DEGREES = 4
"""How many degrees of freedom the noise common to all trials counts for in each of them."""
_FIT_ITERATIONS = 60
_FIT_ATTEMPTS = 3


@dataclass(frozen=True)
class Surrogate:
    """A fitted model and the features that it sees."""

    model: SingleTaskGP
    """Higher is better, in units of the standard deviation of the scores."""
    features: FeatureMap
    observed: Tensor
    """Features of the trials with a score, `n x d`."""
    unit: "Standardised"
    """How scores became outcomes of the model."""
    sign: int
    """1 where scores are maximized, -1 where they are minimized."""
    fitted: bool
    """False where the fit failed and the prior's hyperparameters serve."""

    def rows(self, trials: Sequence[Trial]) -> Tensor:
        """Return the features of some trials' actions, `n x d`."""
        return torch.from_numpy(self.features([trial.action for trial in trials]))

    def estimates(self, trials: Sequence[Trial]) -> list[Estimate]:
        """Return what the actions of some trials are expected to score, in units of the scores."""
        with torch.no_grad():
            posterior = self.model.posterior(self.rows(trials))
        means = self.sign * posterior.mean.squeeze(-1) * self.unit.scale + self.unit.centre
        errors = posterior.variance.squeeze(-1).clamp_min(0).sqrt() * self.unit.scale
        return [Estimate(m, e) for m, e in zip(means.tolist(), errors.tolist(), strict=True)]


@dataclass(frozen=True)
class Standardised:
    """Scores brought to mean 0 and variance 1."""

    outcomes: Tensor
    """`n x 1`."""
    noise: Tensor | None
    """Their noise variances, `n x 1`; None where no score has more than one value."""
    centre: float
    scale: float
    """A score is its outcome times `scale` plus `centre`."""


def fit_surrogate(history: History, embeddings: Embeddings | None = None) -> Surrogate:
    """Fit the surrogate to the trials that have a score.

    Args:
        history: what is known so far.
        embeddings: of the references' images; None where there are none.

    Raises:
        ValueError: no trial has one.
    """
    done = [(t.action, t.score) for t in history.trials if t.status is TrialStatus.DONE and t.score]
    if not done:
        raise ValueError("the surrogate needs a trial with a score, got none")
    references = known_references(history)
    features = FeatureMap(history.space, references)
    distances = embeddings.distances(references) if embeddings else None
    x = torch.from_numpy(features([action for action, _ in done]))
    unit = standardised([score for _, score in done])
    sign = 1 if history.direction == "maximize" else -1
    kernel = partial(
        ActionKernel,
        len(features.scalar_names),
        len(references),
        None if distances is None else torch.from_numpy(distances),
    )
    model, fitted = _fit(x, sign * unit.outcomes, unit.noise, kernel)
    return Surrogate(model, features, x, unit, sign, fitted)


def known_references(history: History) -> tuple[Reference, ...]:
    """Return the pool, then what earlier trials used beyond it, in order of appearance."""
    used = (r for t in history.trials for r in (*t.action.liked, *t.action.disliked))
    return tuple(dict.fromkeys((*history.pool, *used)))


def standardised(scores: Sequence[Score]) -> Standardised:
    """Bring scores to mean 0 and variance 1.

    A sample variance of a few images is a rough guess, so each is drawn toward what the trials
    have in common.
    """
    unit = max(abs(v) for score in scores for v in score.values) or 1.0
    means = np.array([score.mean / unit for score in scores])
    spread = float(means.std())
    scale = spread if spread > 1e-12 else 1.0
    centre = float(means.mean())
    y = torch.from_numpy((means - centre) / scale).unsqueeze(-1)
    counts = np.array([len(score.values) for score in scores])
    if counts.max() < 2:
        return Standardised(y, None, centre * unit, scale * unit)
    errors = np.array([(score.standard_error or 0.0) / unit / scale for score in scores])
    noise = np.maximum(_pooled_variance(errors**2 * counts, counts) / counts, _NOISE_FLOOR)
    return Standardised(y, torch.from_numpy(noise).unsqueeze(-1), centre * unit, scale * unit)


def _pooled_variance(
    variances: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Draw the variances of single values toward their mean over all trials."""
    degrees = counts - 1
    common = (degrees * variances).sum() / degrees.sum()
    weighted: npt.NDArray[np.float64] = degrees * variances + _PRIOR_DEGREES * common
    return weighted / (degrees + _PRIOR_DEGREES)


def _fit(
    x: Tensor, y: Tensor, noise: Tensor | None, kernel: Callable[[], ActionKernel]
) -> tuple[SingleTaskGP, bool]:
    model = _model(x, y, noise, kernel())
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    try:
        fit_gpytorch_mll(
            likelihood,
            optimizer_kwargs={"options": {"maxiter": _FIT_ITERATIONS}},
            max_attempts=_FIT_ATTEMPTS,
        )
    except (ModelFittingError, RuntimeError, ValueError) as error:
        # The search for hyperparameters can meet matrices that no factorisation survives.
        logger.warning("fit of the surrogate failed, using the prior's centre: %s", error)
        return _model(x, y, noise, kernel()).eval(), False
    return model, True


def _model(x: Tensor, y: Tensor, noise: Tensor | None, kernel: ActionKernel) -> SingleTaskGP:
    return SingleTaskGP(x, y, noise, covar_module=kernel, outcome_transform=None)
