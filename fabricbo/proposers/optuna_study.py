"""What Optuna's samplers have in common here: a study in memory, made from the history.

It is made anew at every turn, which takes milliseconds and leaves nothing to remember: the same
history gives the same proposal. Optuna's samplers draw from generators of their own, seeded by
us, and leave the global ones alone.
"""

from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from fabricbo.protocols import History
from fabricbo.records import Trial, TrialStatus

STATES: Mapping[TrialStatus, TrialState] = {
    TrialStatus.PENDING: TrialState.RUNNING,
    TrialStatus.DONE: TrialState.COMPLETE,
    TrialStatus.FAILED: TrialState.FAIL,
}

Distributions = dict[str, BaseDistribution]


def empty_study(history: History, sampler: BaseSampler) -> optuna.Study:
    """Return a study in memory that aims where the history does."""
    return optuna.create_study(direction=history.direction, sampler=sampler)


def known_trials(history: History) -> list[Trial]:
    """Return the trials that the samplers can be told of.

    Hand settings may lie outside what may vary; Optuna has no place for such a point, and its
    score belongs to no other.
    """
    domains = history.space.domains
    return [
        trial
        for trial in history.trials
        if all(getattr(trial.action.params, name) in domain for name, domain in domains.items())
    ]


def value_of(trial: Trial) -> float | None:
    """Return a trial's score as one number; None where it has none."""
    return None if trial.score is None else trial.score.mean
