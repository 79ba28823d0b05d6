"""Bayesian optimization without Ax: surrogate and acquisition behind the proposer protocol."""

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from botorch.exceptions.errors import BotorchError
from botorch.exceptions.warnings import OptimizationWarning
from linear_operator.utils.errors import NanError, NotPSDError
from linear_operator.utils.warnings import NumericalWarning

from fabricbo.proposers.acquisition import best_action
from fabricbo.proposers.advice import advise
from fabricbo.proposers.baselines import proposal_seed, random_generator, sobol_action
from fabricbo.proposers.embeddings import Embed, Embeddings
from fabricbo.proposers.surrogate import fit_surrogate
from fabricbo.protocols import Advice, Estimate, History, Proposal

logger = logging.getLogger(__name__)

_NUMERICAL_ERRORS = (BotorchError, NanError, NotPSDError, RuntimeError)
_ENOUGH_TO_ADVISE = 5
"""Trials with a score."""


class SurrogateProposer:
    """Proposes the action of which the surrogate expects the largest improvement.

    Sources: `bo`; `bo-fallback` where the fit failed and the prior's hyperparameters had to do;
    `sobol-fallback` where not even they gave an answer; `bo-repeat` where no action is left
    that could give new images.
    """

    def __init__(self, embed: Embed | None = None) -> None:
        """Make a proposer.

        Args:
            embed: images of references to embeddings, `n x d`; None where there is nothing that
                tells which of them are alike.
        """
        self._embeddings = Embeddings(embed) if embed else None

    def propose(self, history: History, /) -> Proposal:
        """Return the next action, taking pending trials into account.

        Raises:
            ValueError: no trial has a score.
        """
        with own_randomness(proposal_seed(history)):
            surrogate = fit_surrogate(history, self._embeddings)
            try:
                action, new = best_action(surrogate, history, random_generator(history))
            except _NUMERICAL_ERRORS as error:
                logger.warning("acquisition failed, using a Sobol point: %s", error)
                return Proposal(sobol_action(history), source="sobol-fallback")
        if not new:
            logger.warning("found no action that could give new images")
            return Proposal(action, source="bo-repeat")
        return Proposal(action, source="bo" if surrogate.fitted else "bo-fallback")

    def estimate(self, history: History, /) -> dict[int, Estimate]:
        """Return what the surrogate expects of every trial that has a score, by index."""
        done = [trial for trial in history.trials if trial.score is not None]
        if not done:
            return {}
        with own_randomness(proposal_seed(history)):
            estimates = fit_surrogate(history, self._embeddings).estimates(done)
        return {trial.index: found for trial, found in zip(done, estimates, strict=True)}

    def advise(self, history: History, /) -> Advice | None:
        """Say how likely the best trial is near the best there is; None before a few scores."""
        if sum(trial.score is not None for trial in history.trials) < _ENOUGH_TO_ADVISE:
            return None
        with own_randomness(proposal_seed(history)):
            surrogate = fit_surrogate(history, self._embeddings)
            try:
                return advise(surrogate, history, random_generator(history))
            except _NUMERICAL_ERRORS as error:
                logger.warning("no advice on whether to go on: %s", error)
                return None


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed all global generators inside, put back their states outside.

    Libraries below draw from them here and there. Warnings that a matrix needed jitter (that
    is how near-identical actions are dealt with) or that a fit is tried again are silenced.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", NumericalWarning)
            warnings.simplefilter("ignore", OptimizationWarning)
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
