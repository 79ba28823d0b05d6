"""Ax as it comes: what its own `choose_generation_strategy` picks for the search space.

That is what Ax's `Client` does for those who tell it nothing more: a few Sobol points (5 trials
with those that are there, so the hand settings take the place of the centre), then its standard
Gaussian process. Only the experiment is ours, see `ax_experiment.py`; no node is.
"""

import logging

from ax.api.utils.generation_strategy_dispatch import choose_generation_strategy
from ax.api.utils.structs import GenerationStrategyDispatchStruct
from ax.core.types import TParameterization
from ax.exceptions.core import OptimizationComplete

from fabricbo.proposers.ax_experiment import MirroredExperiment, role_name
from fabricbo.proposers.baselines import HandProposer, proposal_seed, sobol_action
from fabricbo.proposers.bayes import own_randomness
from fabricbo.proposers.quiet import quiet
from fabricbo.proposers.suggestions import suggested_action
from fabricbo.proposers.uncompiled import leave_uncompiled
from fabricbo.protocols import History, Proposal

logger = logging.getLogger(__name__)


class StockAxProposer:
    """Proposes the hand settings, then what Ax's default strategy does.

    Sources: `hand`, then `ax-` and Ax's name of the node (`ax-sobol`, `ax-mbm`);
    `sobol-fallback` where Ax finds no point that it has not had.
    """

    def propose(self, history: History, /) -> Proposal:
        """Return the next action; Ax conditions on the pending ones."""
        if not history.trials or not history.space.dimensions(history.pool):
            return HandProposer().propose(history)
        seed = proposal_seed(history)
        with own_randomness(seed), quiet("ax"):
            try:
                arm, node = _generate(history, seed)
            except OptimizationComplete as error:
                logger.warning("Ax has no new point, using one of a Sobol sequence: %s", error)
                return Proposal(sobol_action(history), source="sobol-fallback")
        chosen = {r.id: str(arm[role_name(r)]) for r in history.pool if history.space.roles}
        return Proposal(suggested_action(arm, chosen, history), source=f"ax-{node.lower()}")


def _generate(history: History, seed: int) -> tuple[TParameterization, str]:
    """Return the values of Ax's next arm, and which node made it."""
    # Copied anew every time: against Ax's own seconds it costs nothing, and a strategy that is
    # kept would depend on when it was asked. Its Sobol points therefore have a scrambling each.
    experiment = MirroredExperiment(history).experiment
    leave_uncompiled()
    strategy = choose_generation_strategy(
        GenerationStrategyDispatchStruct(
            initialization_random_seed=seed,
            # Otherwise Ax refuses to go on while its first trials are all pending.
            allow_exceeding_initialization_budget=True,
        )
    )
    strategy.fit(experiment)
    run = strategy.gen_single_trial(experiment)
    return run.arms[0].parameters, str(strategy.current_node_name)
