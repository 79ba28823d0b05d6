"""CMA-ES (Hansen 2016, arXiv 1604.00772) by Optuna's `CmaEsSampler`, on the unit cube.

CMA-ES moves a normal distribution and knows no categories. So everything is a coordinate of
`ActionSpace.to_unit` and `from_unit`: a choice is the share of the interval that a coordinate
lies in, a role one of three thirds with "unused" in the middle (those of liked and disliked
parted by strength, where it varies). It is told the middle of the share that was drawn. Whoever
compares proposers should know that this suits it badly, and that it moves only after a generation
of 4 + 3 ln(coordinates) scores: 11 of them with 12.
"""

from optuna.distributions import FloatDistribution
from optuna.samplers import CmaEsSampler
from optuna.trial import TrialState

from fabricbo.proposers.baselines import HandProposer, proposal_seed
from fabricbo.proposers.optuna_study import (
    STATES,
    Distributions,
    empty_study,
    known_trials,
    values_of,
)
from fabricbo.proposers.quiet import quiet
from fabricbo.protocols import History, Proposal
from fabricbo.records import Trial


class CmaEsProposer:
    """Proposes the hand settings, one random point, then what CMA-ES draws from its distribution.

    Sources: `hand`, `cmaes`.
    """

    def propose(self, history: History, /) -> Proposal:
        """Return the next draw; pending and failed trials count for no generation.

        Raises:
            ValueError: several objectives, or bounds: CMA-ES knows neither.
        """
        if history.further:
            raise ValueError(
                "cmaes takes one objective without bounds, got "
                f"{', '.join(measure.name for measure in history.measures)}"
            )
        names = [f"x{index}" for index in range(history.space.dimensions(history.pool))]
        if not history.trials or not names:
            return HandProposer().propose(history)
        cube: Distributions = {name: FloatDistribution(0.0, 1.0) for name in names}
        with quiet("optuna"):
            study = empty_study(history, CmaEsSampler(seed=proposal_seed(history)))
            for trial in known_trials(history):
                # Asked for a point that is given, the sampler keeps its own books (of which
                # generation the trial is, where the distribution then stands), but only when
                # it is made to sample.
                study.enqueue_trial(dict(zip(names, _point(trial, history), strict=True)))
                asked = study.ask(cube)
                _ = asked.relative_params
                if STATES[trial.status] is not TrialState.RUNNING:
                    study.tell(asked, values_of(trial, history), STATES[trial.status])
            drawn = study.ask(cube).params
        action = history.space.from_unit([drawn[name] for name in names], history.pool)
        return Proposal(action, source="cmaes")


def _point(trial: Trial, history: History) -> list[float]:
    """Return a trial's place in the cube; rounding may put the ends of a range just outside."""
    return [min(max(x, 0.0), 1.0) for x in history.space.to_unit(trial.action, history.pool)]
