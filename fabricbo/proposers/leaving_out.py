"""What each trial was expected to score by a surrogate that knows all others.

Leave-one-out prediction in closed form: Rasmussen and Williams, "Gaussian Processes for Machine
Learning" (2006), equations 5.10 to 5.12. With covariance K of the scores, noise included, and y
less the mean,

    expected_i = y_i - [K^-1 y]_i / [K^-1]_ii,    variance_i = 1 / [K^-1]_ii

Hyperparameters stay those that were fitted to all trials, and so does the unit of the scores.
"""

from collections.abc import Sequence

import torch
from botorch.models import SingleTaskGP
from torch import Tensor

from fabricbo.assessment import Estimate
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.records import Trial

FEWEST = 4
"""Trials with a score below which the others say next to nothing about one."""


def left_out(surrogate: Surrogate, scored: Sequence[Trial]) -> dict[int, tuple[Estimate, ...]]:
    """Return what was expected of each trial's own images, in units of the scores.

    Args:
        surrogate: fitted to scores, these trials first.
        scored: all trials that it was fitted to, without those of an earlier study.

    Returns:
        One estimate a measure, by the trial's index; nothing for fewer than `FEWEST` trials.
    """
    if len(scored) < FEWEST:
        return {}
    columns = []
    for model, unit in zip(surrogate.models, surrogate.units, strict=True):
        means, errors = _predictions(model)
        columns.append(
            [
                Estimate(unit.sign * mean * unit.scale + unit.centre, error * unit.scale)
                for mean, error in zip(
                    means[: len(scored)].tolist(), errors[: len(scored)].tolist(), strict=True
                )
            ]
        )
    rows = zip(*columns, strict=True)
    return {trial.index: row for trial, row in zip(scored, rows, strict=True)}


def _predictions(model: SingleTaskGP) -> tuple[Tensor, Tensor]:
    """Return the expected outcome and standard error of each trial, `n`, without itself.

    Raises:
        NotPSDError: no jitter makes the covariance one.
    """
    (rows,), outcomes = model.train_inputs, model.train_targets
    with torch.no_grad():
        prior = model.forward(rows)
        seen = model.likelihood(prior, rows)
        inverse = torch.cholesky_inverse(seen.lazy_covariance_matrix.cholesky().to_dense())
        spread = inverse.diagonal()
        means = outcomes - (inverse @ (outcomes - prior.mean)) / spread
    return means, spread.rsqrt()
