"""Bayesian optimization without Ax: surrogate and acquisition behind the proposer protocol."""

import logging
import random
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from botorch.exceptions.errors import BotorchError
from botorch.exceptions.warnings import OptimizationWarning
from linear_operator.utils.errors import NanError, NotPSDError
from linear_operator.utils.warnings import NumericalWarning

from fabricbo.assessment import Assessment, Estimate
from fabricbo.best import best, best_judged, broken_bounds
from fabricbo.proposers.acquisition import best_action
from fabricbo.proposers.advice import advise
from fabricbo.proposers.baselines import proposal_seed, random_generator, sobol_action
from fabricbo.proposers.comparison import Choice, first_pairs, next_pairs
from fabricbo.proposers.embeddings import Embed, Embeddings
from fabricbo.proposers.insight import reference_effects, slices
from fabricbo.proposers.landscape import contours, sensitivities
from fabricbo.proposers.last_fit import LastFit
from fabricbo.proposers.leaving_out import left_out
from fabricbo.proposers.preference import FIT_ATTEMPTS, judged_trials
from fabricbo.proposers.replication import worth_repeating
from fabricbo.proposers.surrogate import Surrogate, fit_surrogate
from fabricbo.protocols import History, Proposal
from fabricbo.records import Trial

logger = logging.getLogger(__name__)

_NUMERICAL_ERRORS = (BotorchError, NanError, NotPSDError, RuntimeError)


class SurrogateProposer:
    """Proposes the action of which the surrogate expects the largest improvement.

    It can be made anew at any moment: the fit that it keeps only saves making it again.

    Sources: `bo`; `bo-again` where drawing a trial again with fresh seeds promises more than
    anything new; `bo-fallback` where the fit failed and the prior's hyperparameters had to do;
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
        self._fitted = LastFit(self._embeddings)

    def propose(self, history: History, /) -> Proposal:
        """Return the next action, taking pending trials into account.

        Raises:
            ValueError: no trial has a score, and nobody preferred any.
        """
        _warn_of_bounds(history)
        if history.preferences and history.earlier:
            logger.warning("people have judged, so the earlier study counts no longer")
        with own_randomness(proposal_seed(history)):
            try:
                surrogate = self._fitted(history)
                action, new = best_action(surrogate, history, random_generator(history))
                again = worth_repeating(surrogate, history, action)
            except _NUMERICAL_ERRORS as error:
                logger.warning("acquisition failed, using a Sobol point: %s", error)
                return Proposal(sobol_action(history), source="sobol-fallback")
        if again is not None:
            return Proposal(again, source="bo-again")
        if not new:
            logger.warning("found no action that could give new images")
            return Proposal(action, source="bo-repeat")
        return Proposal(action, source="bo" if surrogate.fitted else "bo-fallback")

    def assess(self, history: History, /) -> Assessment:
        """Return what every trial is expected to score, what helped, and whether to go on.

        Where numbers fail the prior's hyperparameters have to do; where they fail with those,
        too, nothing is said.
        """
        if not judged_trials(history):
            return Assessment()
        with own_randomness(proposal_seed(history)):
            for attempts in (FIT_ATTEMPTS, 0):
                try:
                    return assessed(history, self._embeddings, attempts)
                except _NUMERICAL_ERRORS as error:
                    logger.warning("assessment failed: %s", error)
        return Assessment()

    def compare(
        self, history: History, count: int = 1, waiting: Collection[frozenset[int]] = (), /
    ) -> list[tuple[int, int]]:
        """Return the pairs of drawn trials whose comparison should help most, by qEUBO.

        Before anybody compared any, the first objective says what is good.

        Raises:
            ValueError: fewer than two trials have images.
        """
        shown = [t for t in history.trials if t.images and not t.status.is_lost]
        if len(shown) < 2:
            raise ValueError(f"a comparison needs two trials with images, got {len(shown)}")
        choice = Choice(shown, count, frozenset(waiting))
        if not judged_trials(history):
            return first_pairs(history, choice)
        with own_randomness(proposal_seed(history)):
            try:
                surrogate = fit_surrogate(history, self._embeddings)
                return next_pairs(surrogate, history, choice)
            except _NUMERICAL_ERRORS as error:
                logger.warning("choice of a comparison failed, taking the first: %s", error)
                return first_pairs(history, choice)


def assessed(history: History, embeddings: Embeddings | None, attempts: int) -> Assessment:
    """Return what surrogates make of trials of which some were scored or judged.

    Scores have a surrogate of their own, also where people judge: what they find good says
    nothing about what is measured.
    """
    rng, found, surrogate = random_generator(history), Assessment(), None
    scored = [trial for trial in history.trials if trial.scores]
    if scored:
        surrogate = fit_surrogate(replace(history, preferences=()), embeddings, attempts)
        rows = surrogate.estimates([trial.action for trial in scored])
        estimates = {trial.index: row for trial, row in zip(scored, rows, strict=True)}
        found = replace(found, estimates=estimates, left_out=left_out(surrogate, scored))
        chosen = best(scored, history.measures, estimates)
    if history.preferences or surrogate is None:
        surrogate = fit_surrogate(history, embeddings, attempts)
        found = replace(found, utilities=_utilities(surrogate, judged_trials(history)))
        chosen = best_judged(history.trials, history.measures, found)
    return found if chosen is None else _explained(found, surrogate, Told(history, chosen, rng))


@dataclass(frozen=True)
class Told:
    """What is explained: a history around its best trial."""

    history: History
    best: Trial
    rng: np.random.Generator


def _utilities(surrogate: Surrogate, judged: Sequence[Trial]) -> dict[int, Estimate]:
    (unit,) = surrogate.units
    rows = surrogate.estimates([trial.action for trial in judged])
    return {
        trial.index: Estimate(unit.sign * one.mean, one.standard_error)
        for trial, (one,) in zip(judged, rows, strict=True)
    }


def _explained(found: Assessment, surrogate: Surrogate, told: Told) -> Assessment:
    """Add advice, effects and slices, or nothing where they cannot be had."""
    history, chosen = told.history, told.best
    try:
        breaks = broken_bounds(chosen, history.measures, found.estimates)
        advice = None if breaks else advise(surrogate, history, chosen, told.rng)
        inputs = sensitivities(surrogate, history, told.rng)
        return replace(
            found,
            advice=advice,
            effects=reference_effects(surrogate, history, chosen),
            slices=slices(surrogate, history, chosen),
            contours=contours(surrogate, history, chosen, inputs),
            sensitivities=inputs,
        )
    except _NUMERICAL_ERRORS as error:
        logger.warning("no advice on whether to go on: %s", error)
        return found


def _warn_of_bounds(history: History) -> None:
    """Say which bounds no trial keeps: the search then goes towards an action that does."""
    known = [dict(trial.by_measure(history.measures)) for trial in history.trials]
    for measure in history.measures:
        means = [scores[measure].mean for scores in known if measure in scores]
        if means and not any(map(measure.allows, means)):
            logger.warning("no trial keeps %s yet; looking for one that does", measure.bounds_text)


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
