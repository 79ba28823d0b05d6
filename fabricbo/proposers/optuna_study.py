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
    TrialStatus.PROPOSED: TrialState.RUNNING,
    TrialStatus.RUNNING: TrialState.RUNNING,
    TrialStatus.DRAWN: TrialState.RUNNING,
    TrialStatus.AWAITING_RATING: TrialState.RUNNING,
    TrialStatus.DONE: TrialState.COMPLETE,
    TrialStatus.FAILED: TrialState.FAIL,
    TrialStatus.ABANDONED: TrialState.FAIL,
}

Distributions = dict[str, BaseDistribution]


def empty_study(history: History, sampler: BaseSampler) -> optuna.Study:
    """Return a study in memory that aims where the history does."""
    directions = [history.measures[i].direction for i in history.objectives]
    return optuna.create_study(directions=directions, sampler=sampler)


def known_trials(history: History) -> list[Trial]:
    """Return the trials that the samplers can be told of.

    Hand settings may lie outside what may vary, and so may strengths; Optuna has no place for such
    a point, and its score belongs to no other.
    """
    domains = history.space.domains
    return [
        trial
        for trial in history.trials
        if all(getattr(trial.action.params, name) in domain for name, domain in domains.items())
        and history.space.has_strengths_of(trial.action)
    ]


def values_of(trial: Trial, history: History) -> list[float] | None:
    """Return a trial's mean scores, one an objective; None where it has none."""
    return [trial.scores[i].mean for i in history.objectives] if trial.scores else None


def constraints_of(trial: Trial, history: History) -> dict[str, float]:
    """Return by how much a trial misses each bound; 0 or less where it keeps it."""
    found = {}
    for measure, score in zip(history.measures, trial.scores, strict=bool(trial.scores)):
        if measure.at_least is not None:
            found[f"{measure.name} >="] = measure.at_least - score.mean
        if measure.at_most is not None:
            found[f"{measure.name} <="] = score.mean - measure.at_most
    return found
