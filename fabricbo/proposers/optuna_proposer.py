"""Optuna's TPE and Gaussian process, on the parameters as they are.

Ranges are floats or whole numbers (by ratio where the domain is), choices and the roles of
references (with their strengths, where these vary) are categories. The samplers keep Optuna's
defaults: random points until ten trials have a score. They know nothing of standard errors, windows
and caps: what they suggest becomes an action by `ActionSpace.action`, and they are told what was
really drawn.
"""

from collections.abc import Callable
from typing import Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import FrozenTrial

from fabricbo.proposers.baselines import HandProposer, proposal_seed
from fabricbo.proposers.optuna_study import (
    STATES,
    Distributions,
    constraints_of,
    empty_study,
    known_trials,
    values_of,
)
from fabricbo.proposers.quiet import quiet
from fabricbo.proposers.suggestions import suggested_action
from fabricbo.protocols import History, Proposal
from fabricbo.records import Reference, Trial
from fabricbo.space import Choice, Domain, role_choice

Kind = Literal["tpe", "gp"]

_SAMPLERS: dict[Kind, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed),
}


class OptunaProposer:
    """Proposes the hand settings, then what one of Optuna's samplers suggests.

    Several objectives and bounds are passed on.

    Sources: `hand`, and `optuna-tpe` or `optuna-gp`.
    """

    def __init__(self, kind: Kind) -> None:
        """Make a proposer.

        Args:
            kind: `tpe` (Tree-structured Parzen Estimator) or `gp` (Gaussian process with
                expected improvement).
        """
        self._sampler = _SAMPLERS[kind]
        self._source = f"optuna-{kind}"

    def propose(self, history: History, /) -> Proposal:
        """Return the sampler's next suggestion, taking pending trials into account."""
        distributions = _distributions(history)
        if not history.trials or not distributions:
            return HandProposer().propose(history)
        with quiet("optuna"):
            study = empty_study(history, self._sampler(proposal_seed(history)))
            study.add_trials([_frozen(t, history, distributions) for t in known_trials(history)])
            suggested = study.ask(distributions).params
        chosen = {r.id: suggested[_key(r)] for r in history.pool if history.space.roles}
        return Proposal(suggested_action(suggested, chosen, history), self._source)


def _distributions(history: History) -> Distributions:
    space = history.space
    scalars = {name: _distribution(name, space.domains[name]) for name in space.parameters}
    roles = history.pool if space.roles else ()
    choices = tuple(space.role_choices)
    return {**scalars, **{_key(r): CategoricalDistribution(choices) for r in roles}}


def _distribution(name: str, domain: Domain) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.values)
    if name == "denoising_steps":
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def _frozen(trial: Trial, history: History, distributions: Distributions) -> FrozenTrial:
    """Return a trial as Optuna keeps it; references that joined later count as unused."""
    scalars = {n: getattr(trial.action.params, n) for n in history.space.parameters}
    roles = {_key(r): role_choice(trial.action, r) for r in history.pool}
    values = {**scalars, **roles}
    return optuna.trial.create_trial(
        state=STATES[trial.status],
        values=values_of(trial, history),
        constraints=constraints_of(trial, history),
        params={name: values[name] for name in distributions},
        distributions=distributions,
    )


def _key(reference: Reference) -> str:
    return f"role_{reference.id}"
