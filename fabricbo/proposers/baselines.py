"""Proposers that learn nothing: hand settings, random points, a Sobol sequence.

All but the first trial of `RandomProposer` and `SobolProposer` ignore the scores; like every
proposer they start from the hand settings, so that studies can be compared trial by trial.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fabricbo.protocols import History, Proposal
from fabricbo.records import Action

_ATTEMPTS = 64
"""Points looked at before an action that was already tried is accepted (small spaces)."""


class HandProposer:
    """Proposes the hand settings every time: what a study gains nothing from."""

    def __init__(self, settings: Mapping[str, float] | None = None) -> None:
        """Make a proposer.

        Args:
            settings: other hand settings by name, such as one of `presets.PRESETS`, to be
                proposed from the second trial on. Those that the space does not allow stay as
                in the space.
        """
        self._settings = dict(settings or {})

    def propose(self, history: History, /) -> Proposal:
        """Return the hand settings with the present pool."""
        space, pool = history.space, history.pool
        domains = space.domains
        allowed = {n: v for n, v in self._settings.items() if n in domains and v in domains[n]}
        if not history.trials or not allowed:
            return Proposal(space.hand_action(pool), source="hand")
        roles = {reference.id: reference.hand_role for reference in pool}
        return Proposal(space.action(allowed, roles, pool), source="hand")


class RandomProposer:
    """Proposes the hand settings, then points drawn uniformly from the unit cube."""

    def propose(self, history: History, /) -> Proposal:
        """Return an action that was not tried yet, where there is one."""
        if not history.trials:
            return HandProposer().propose(history)
        rng = random_generator(history)
        dimensions = history.space.dimensions(history.pool)
        return Proposal(_first_new(history, rng.random((_ATTEMPTS, dimensions))), source="random")


class SobolProposer:
    """Proposes the hand settings, then the points of a scrambled Sobol sequence."""

    def propose(self, history: History, /) -> Proposal:
        """Return the next point of the sequence that was not tried yet."""
        if not history.trials:
            return HandProposer().propose(history)
        return Proposal(sobol_action(history), source="sobol")


def random_generator(history: History) -> np.random.Generator:
    """Return the generator that all randomness of one proposal comes from."""
    return np.random.default_rng(proposal_seed(history))


def proposal_seed(history: History) -> int:
    """Derive a 32-bit seed from the seed of the study and the number of trials."""
    entropy = (history.seed % 2**64, len(history.trials))
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def sobol_action(history: History) -> Action:
    """Return the point of the study's Sobol sequence whose index is the number of trials.

    The sequence is scrambled by the seed of the study. A third of its points makes a
    reference liked, a third disliked; `ActionSpace.from_unit` applies the caps.
    """
    # Seconds that the other proposers need not wait for.
    import torch
    from torch.quasirandom import SobolEngine

    dimensions = history.space.dimensions(history.pool)
    if dimensions == 0:
        return history.space.hand_action(history.pool)
    seed = int(np.random.SeedSequence(history.seed % 2**64).generate_state(1)[0])
    sequence = SobolEngine(dimensions, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    sequence.fast_forward(len(history.trials))  # type: ignore[no-untyped-call]
    points = sequence.draw(_ATTEMPTS, dtype=torch.float64)
    return _first_new(history, points.numpy())


def _first_new(history: History, points: npt.NDArray[np.float64]) -> Action:
    """Map rows of the unit cube to actions; return the first new one, else the first."""
    tried = {trial.action for trial in history.trials}
    actions = [history.space.from_unit(point.tolist(), history.pool) for point in points]
    return next((action for action in actions if action not in tried), actions[0])
