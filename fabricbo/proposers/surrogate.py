"""The surrogate: a Gaussian process from actions to scores, fitted to a history.

Scores are turned so that higher is better and standardised. Noise is known where a score has
several values (one for each image) and learnt where no score has. Hyperparameters are the
maximum of their posterior; where that search fails, the prior's centre serves.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from botorch.exceptions import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.model import Model
from gpytorch.kernels import Kernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NanError
from torch import Tensor

from fabricbo.assessment import Estimate
from fabricbo.proposers.embeddings import Embeddings
from fabricbo.proposers.features import FeatureMap
from fabricbo.proposers.kernel import ActionKernel
from fabricbo.proposers.preference import (
    FIT_ATTEMPTS,
    comparisons,
    fit_preferences,
    judged_trials,
)
from fabricbo.proposers.transfer import TransferKernel
from fabricbo.protocols import History
from fabricbo.records import Action, Reference, Trial, TrialStatus
from fabricbo.scores import MAX_SCORE, Measure, Score

logger = logging.getLogger(__name__)

_NOISE_FLOOR = 1e-4
"""Least noise variance, as a share of the variance of the scores."""
_PRIOR_DEGREES = 4
"""How many degrees of freedom the noise common to all trials counts for in each of them."""
_FIT_ITERATIONS = 60


@dataclass(frozen=True)
class Unit:
    """How scores of a measure became outcomes of a model: mean 0, variance 1, higher better."""

    sign: int = 1
    """1 where scores are maximized, -1 where they are minimized."""
    centre: float = 0.0
    scale: float = 1.0
    """A score is its outcome times `sign` and `scale` plus `centre`."""

    def outcome(self, score: float) -> float:
        """Return the outcome that a score stands for."""
        return self.sign * (score - self.centre) / self.scale


@dataclass(frozen=True)
class Bounded:
    """What is known of a measure with bounds to keep, where people judge."""

    measure: Measure
    model: Model
    unit: Unit


@dataclass(frozen=True)
class Surrogate:
    """Fitted models and the features that they see."""

    models: tuple[Model, ...]
    """One a measure, in the order of the history; one of a utility where people judge."""
    features: FeatureMap
    observed: Tensor
    """Features of this study's trials with a score or a judgement, `n x d`."""
    units: tuple[Unit, ...]
    """One an outcome."""
    noise: tuple[float, ...]
    """Noise variance of a trial's outcome, one an outcome; 0 where nobody knows."""
    fitted: bool
    """False where the fit failed and the prior's hyperparameters serve."""
    transfers: bool = False
    """Whether the model knows an earlier study too, by the last of the columns."""
    bounded: tuple[Bounded, ...] = ()
    """Where people judge: what has bounds to keep, which the utility says nothing about."""

    @property
    def model(self) -> Model:
        """All models as one, with as many outcomes."""
        return _as_one(self.models)

    @property
    def with_bounds(self) -> Model:
        """The same and, where people judge, what has bounds to keep as further outcomes."""
        return _as_one((*self.models, *(one.model for one in self.bounded)))

    def rows(self, actions: Sequence[Action], study: int = 0) -> Tensor:
        """Return the features of actions of this study (0) or the earlier one (1), `n x d`."""
        return _rows(self.features, actions, study if self.transfers else None)

    def means(self, rows: Tensor) -> Tensor:
        """Return the expected outcomes, `n x m`."""
        with torch.no_grad():
            means: Tensor = self.model.posterior(rows).mean
        return means

    def estimates(self, actions: Sequence[Action]) -> list[tuple[Estimate, ...]]:
        """Return what actions are expected to score, one estimate a measure, in its units.

        Raises:
            NanError: the model knows no number.
        """
        with torch.no_grad():
            posterior = self.model.posterior(self.rows(actions))
            means, errors = posterior.mean, posterior.variance.clamp_min(0).sqrt()
        if not (means.isfinite().all() and errors.isfinite().all()):
            raise NanError("the surrogate's estimates are not finite")
        return [
            tuple(
                Estimate(unit.sign * mean * unit.scale + unit.centre, error * unit.scale)
                for mean, error, unit in zip(*of_one, self.units, strict=True)
            )
            for of_one in zip(means.tolist(), errors.tolist(), strict=True)
        ]


def _as_one(models: Sequence[Model]) -> Model:
    return models[0] if len(models) == 1 else ModelListGP(*models)


@dataclass(frozen=True)
class Standardised:
    """Scores brought to mean 0 and variance 1."""

    outcomes: Tensor
    """`n x 1`."""
    noise: Tensor | None
    """Their noise variances, `n x 1`; None where no score has more than one value."""
    centre: float
    scale: float


@dataclass(frozen=True)
class _OfMeasure:
    """A measure's model, and what became of its scores."""

    model: SingleTaskGP
    unit: Unit
    noise: Tensor
    """Noise variances of the outcomes, `n x 1`, or a single one that was learnt."""
    fitted: bool


def fit_surrogate(
    history: History, embeddings: Embeddings | None = None, attempts: int = FIT_ATTEMPTS
) -> Surrogate:
    """Fit the surrogate to the trials that have a score, or to what people preferred.

    Args:
        history: what is known so far.
        embeddings: of the references' images; None where there are none.
        attempts: how often the search for hyperparameters may begin; 0: the prior's have to do.

    Raises:
        ValueError: no trial has a score, and nobody preferred any.
    """
    references = known_references(history)
    features = FeatureMap(history.space, references)
    distances = embeddings.distances(references) if embeddings else None
    kernel = partial(
        ActionKernel,
        len(features.scalar_names),
        len(references),
        None if distances is None else torch.from_numpy(distances),
    )
    if history.preferences:
        return _fit_to_people(history, features, kernel, attempts)
    return _fit_to_scores(history, features, kernel, attempts)


def _fit_to_people(
    history: History, features: FeatureMap, kernel: Callable[[], ActionKernel], attempts: int
) -> Surrogate:
    judged = judged_trials(history)
    rows = _rows(features, [trial.action for trial in judged])
    places = {trial.index: row for row, trial in enumerate(judged)}
    compared = [
        replace(one, better=places[one.better], worse=places[one.worse])
        for one in comparisons(history)
    ]
    model, fitted = fit_preferences(rows, compared, kernel, attempts)
    sign = 1 if history.direction == "maximize" else -1
    bounds = _fit_to_bounds(history, features, kernel, attempts)
    return Surrogate(
        (model,),
        features,
        rows,
        (Unit(sign),),
        (0.0,),
        fitted and all(found.fitted for found in bounds.values()),
        bounded=tuple(
            Bounded(measure, found.model, found.unit) for measure, found in bounds.items()
        ),
    )


def _fit_to_bounds(
    history: History, features: FeatureMap, kernel: Callable[[], ActionKernel], attempts: int
) -> dict[Measure, _OfMeasure]:
    """Fit what has bounds to keep to the trials in which it was measured; nothing without both."""
    kept = [measure for measure in history.measures if measure.is_constraint]
    measured = [trial for trial in history.trials if trial.by_measure(history.measures)]
    if not kept or not measured:
        return {}
    rows = _rows(features, [trial.action for trial in measured])
    known = [dict(trial.by_measure(history.measures)) for trial in measured]
    return {
        measure: _fit_measure(
            measure, rows, [scores[measure] for scores in known], kernel, attempts
        )
        for measure in kept
    }


def _fit_to_scores(
    history: History, features: FeatureMap, kernel: Callable[[], ActionKernel], attempts: int
) -> Surrogate:
    done = [trial for trial in history.trials if trial.status is TrialStatus.DONE and trial.scores]
    if not done:
        raise ValueError("the surrogate needs a trial with a score, got none")
    earlier = list(history.earlier)
    own = _rows(features, [t.action for t in done], 0 if earlier else None)
    rows = torch.cat((own, _rows(features, [t.action for t in earlier], 1))) if earlier else own
    covariance = (lambda: TransferKernel(kernel())) if earlier else kernel
    models, units, noise, fitted = [], [], [], True
    for number, measure in enumerate(history.measures):
        scores = [trial.scores[number] for trial in done]
        known_before = [trial.scores[number] for trial in earlier]
        if earlier:
            before = _Study(earlier, known_before, rows[len(own) :, :-1])
            alone = partial(_fit, kernel=kernel, attempts=attempts)
            shift = _shift(_Study(done, scores, own[:, :-1]), before, alone)
            known_before = [_moved(score, shift) for score in known_before]
        found = _fit_measure(measure, rows, [*scores, *known_before], covariance, attempts)
        models.append(found.model)
        units.append(found.unit)
        noise.append(float(found.noise[: len(done)].mean()))
        fitted = fitted and found.fitted
    return Surrogate(
        tuple(models),
        features,
        own,
        tuple(units),
        tuple(noise),
        fitted,
        transfers=bool(earlier),
    )


def _fit_measure(
    measure: Measure,
    rows: Tensor,
    scores: Sequence[Score],
    kernel: Callable[[], Kernel],
    attempts: int,
) -> _OfMeasure:
    found = standardised(scores)
    sign = 1 if measure.direction == "maximize" else -1
    model, fitted = _fit(rows, sign * found.outcomes, found.noise, kernel, attempts)
    noise = model.likelihood.noise.detach() if found.noise is None else found.noise
    return _OfMeasure(model, Unit(sign, found.centre, found.scale), noise, fitted)


def _rows(features: FeatureMap, actions: Sequence[Action], study: int | None = None) -> Tensor:
    """Return the features of actions, with the study as the last column where there are two."""
    rows = torch.from_numpy(features(actions))
    if study is None:
        return rows
    return torch.cat((rows, torch.full((len(rows), 1), float(study), dtype=rows.dtype)), dim=1)


@dataclass(frozen=True)
class _Study:
    """What one study knows of a measure."""

    trials: Sequence[Trial]
    scores: Sequence[Score]
    rows: Tensor
    """Features of the trials, without the column that tells the study, `n x d`."""

    @property
    def hand(self) -> float | None:
        """What the hand settings score; None where they failed."""
        return self.scores[0].mean if self.trials[0].index == 0 else None


def _shift(own: _Study, earlier: _Study, fit: Callable[..., tuple[SingleTaskGP, bool]]) -> float:
    """Return by how much the scores of this study lie above those of the earlier one.

    Levels differ between prompts; what is better than the hand settings is what carries over.
    Where the hand settings have no score in one of the two, the same actions are compared: what
    ours score with what the earlier study alone would have had them score.
    """
    if own.hand is not None and earlier.hand is not None:
        return own.hand - earlier.hand
    found = standardised(earlier.scores)
    model, _ = fit(earlier.rows, found.outcomes, found.noise)
    with torch.no_grad():
        expected = model.posterior(own.rows).mean.squeeze(-1) * found.scale + found.centre
    ours = torch.tensor([score.mean for score in own.scores], dtype=expected.dtype)
    return float((ours - expected).mean())


def _moved(score: Score, shift: float) -> Score:
    """Move a score to the level of this study, as far as scores go."""
    moved = (value + shift for value in score.by_seed)
    return Score(tuple(min(max(value, -MAX_SCORE), MAX_SCORE) for value in moved))


def known_references(history: History) -> tuple[Reference, ...]:
    """Return the pool, then what trials used beyond it, in order of appearance."""
    trials = (*history.trials, *history.earlier)
    used = (r for t in trials for r in (*t.action.liked, *t.action.disliked))
    return tuple(dict.fromkeys((*history.pool, *used)))


def standardised(scores: Sequence[Score]) -> Standardised:
    """Bring scores to mean 0 and variance 1.

    A sample variance of a few images is a rough guess, so each is drawn toward what the trials
    have in common.
    """
    unit = max(abs(v) for score in scores for v in score.by_seed) or 1.0
    means = np.array([score.mean / unit for score in scores])
    spread = float(means.std())
    scale = spread if spread > 1e-12 else 1.0
    centre = float(means.mean())
    y = torch.from_numpy((means - centre) / scale).unsqueeze(-1)
    counts = np.array([len(score.by_seed) for score in scores])
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
    x: Tensor,
    y: Tensor,
    noise: Tensor | None,
    kernel: Callable[[], Kernel],
    attempts: int = FIT_ATTEMPTS,
) -> tuple[SingleTaskGP, bool]:
    model = _model(x, y, noise, kernel())
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    try:
        fit_gpytorch_mll(
            likelihood,
            optimizer_kwargs={"options": {"maxiter": _FIT_ITERATIONS}},
            max_attempts=attempts,
        )
    except (ModelFittingError, RuntimeError, ValueError) as error:
        # The search for hyperparameters can meet matrices that no factorisation survives.
        logger.warning("fit of the surrogate failed, using the prior's centre: %s", error)
        return _model(x, y, noise, kernel()).eval(), False
    return model, True


def _model(x: Tensor, y: Tensor, noise: Tensor | None, kernel: Kernel) -> SingleTaskGP:
    return SingleTaskGP(x, y, noise, covar_module=kernel, outcome_transform=None)
