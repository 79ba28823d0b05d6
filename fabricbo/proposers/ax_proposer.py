"""Bayesian optimization through Ax: hand settings, a Sobol sequence, then the surrogate."""

from collections.abc import Collection

from ax.core.data import Data
from ax.core.experiment import Experiment
from ax.core.trial_status import TrialStatus
from ax.core.types import TParameterization
from ax.generation_strategy.external_generation_node import ExternalGenerationNode
from ax.generation_strategy.generation_strategy import GenerationStrategy
from ax.generation_strategy.transition_criterion import MinTrials

from fabricbo.assessment import Assessment
from fabricbo.proposers.ax_experiment import MirroredExperiment
from fabricbo.proposers.baselines import HandProposer, SobolProposer, proposal_seed
from fabricbo.proposers.bayes import SurrogateProposer, own_randomness
from fabricbo.proposers.embeddings import Embed
from fabricbo.protocols import History, Proposal, Proposer


class AxProposer:
    """Proposes the hand settings, some Sobol points, then what the surrogate expects most of.

    Sources: `hand`, `sobol`, and those of `SurrogateProposer`.

    It can be made anew at any moment: what it proposes depends on the history alone. The
    experiment that it keeps only saves copying the whole history at every turn.
    """

    def __init__(self, initial_trials: int = 5, embed: Embed | None = None) -> None:
        """Make a proposer.

        Args:
            initial_trials: Sobol points before the surrogate takes over, at least 1; failed
                trials do not count.
            embed: images of references to embeddings, `n x d`, so that the surrogate knows
                which of them are alike; None where there is no such thing.

        Raises:
            ValueError: fewer than one.
        """
        if initial_trials < 1:
            raise ValueError(f"initial_trials must be at least 1, got {initial_trials}")
        self._initial_trials = initial_trials
        self._surrogate = SurrogateProposer(embed)
        self._mirror: MirroredExperiment | None = None

    @property
    def experiment(self) -> Experiment:
        """The Ax experiment as of the last proposal, for Ax's analyses.

        Raises:
            RuntimeError: nothing was proposed yet.
        """
        if self._mirror is None:
            raise RuntimeError("there is no experiment before the first call of propose")
        return self._mirror.experiment

    def propose(self, history: History, /) -> Proposal:
        """Return the next action, taking pending trials into account."""
        with own_randomness(proposal_seed(history)):
            mirror = self._synchronised(history)
            # A new strategy every time: one that is kept goes through its nodes only forward,
            # and would depend on when it was asked.
            nodes = generation_nodes(mirror, self._initial_trials, self._surrogate)
            strategy = GenerationStrategy(nodes=nodes, name="fabricbo")
            # `gen` goes on by one node at most, `fit` by as many as it takes.
            strategy.fit(mirror.experiment)
            strategy.gen_single_trial(mirror.experiment)
        current = next(node for node in nodes if node.name == strategy.current_node_name)
        return current.proposal

    def assess(self, history: History, /) -> Assessment:
        """Return what every trial is expected to score, what helped, and whether to go on."""
        return self._surrogate.assess(history)

    def compare(
        self, history: History, count: int = 1, waiting: Collection[frozenset[int]] = (), /
    ) -> list[tuple[int, int]]:
        """Return the pairs of drawn trials whose comparison should help most."""
        return self._surrogate.compare(history, count, waiting)

    def _synchronised(self, history: History) -> MirroredExperiment:
        if self._mirror is not None and self._mirror.precedes(history):
            self._mirror.extend(history)
        else:
            self._mirror = MirroredExperiment(history)
        return self._mirror


class ProposerNode(ExternalGenerationNode):  # type: ignore[misc]  # ax is untyped
    """A node of an Ax generation strategy that asks a proposer."""

    proposal: Proposal
    """What it proposed last; the arm alone does not say who thought of it."""

    def __init__(
        self, proposer: Proposer, mirror: MirroredExperiment, *criteria: MinTrials, name: str
    ) -> None:
        """Make a node that gives way to the next one when all criteria are met."""
        # What is a repetition is decided by the proposers, who see more than Ax does.
        super().__init__(name=name, should_deduplicate=False, transition_criteria=criteria)
        self._proposer, self._mirror = proposer, mirror

    def update_generator_state(self, experiment: Experiment, data: Data) -> None:
        """Do nothing: experiment and data are copies of the history."""

    def get_next_candidate(
        self,
        pending_parameters: list[TParameterization],  # noqa: ARG002
    ) -> TParameterization:
        """Return the proposed action as an arm's values; pending trials are in the history."""
        self.proposal = self._proposer.propose(self._mirror.history)
        return self._mirror.parameters(self.proposal.action)


def generation_nodes(
    mirror: MirroredExperiment, initial_trials: int, surrogate: Proposer
) -> list[ProposerNode]:
    """Return the three stages and the conditions on which one gives way to the next."""
    history = mirror.history
    started = MinTrials(threshold=1, transition_to="sobol", use_all_trials_in_exp=True)
    # An earlier study stands in for the Sobol points.
    enough = MinTrials(
        threshold=1 + (0 if history.earlier else initial_trials),
        transition_to="bo",
        use_all_trials_in_exp=True,
        not_in_statuses=[TrialStatus.FAILED, TrialStatus.ABANDONED],
    )
    scored = MinTrials(
        threshold=1,
        transition_to="bo",
        use_all_trials_in_exp=True,
        only_in_statuses=[TrialStatus.COMPLETED],
    )
    # Trials that people judge are never completed in Ax's sense: it knows no comparisons.
    known = [enough] if history.preferences else [enough, scored]
    return [
        ProposerNode(HandProposer(), mirror, started, name="hand"),
        ProposerNode(SobolProposer(), mirror, *known, name="sobol"),
        ProposerNode(surrogate, mirror, name="bo"),
    ]
