"""A surface shaped like FABRIC, for comparing proposers: optimum known, no images needed."""

import math
from dataclasses import replace

import numpy as np

from fabricbo.protocols import History, Proposer
from fabricbo.records import Action, Reference, Role, Trial, TrialStatus
from fabricbo.scores import Score
from fabricbo.space import ActionSpace

EFFECTS = (1.0, 0.7, 0.4, 0.0, 0.0, -0.3, -0.6, -0.9)
"""What the references do when liked: three help, two do nothing, three harm."""


def pool_of(references: int) -> tuple[Reference, ...]:
    """Return references without pictures; the first half is liked under the hand settings."""
    roles = [Role.LIKED if i < references / 2 else Role.DISLIKED for i in range(references)]
    return tuple(
        Reference(f"id{i}", f"reference {i}", None, role)  # type: ignore[arg-type]
        for i, role in enumerate(roles)
    )


class Problem:
    """An interior optimum in mass and window, and references that help or harm."""

    def __init__(self, seed: int, noise: float = 0.1) -> None:
        """Shuffle the references and place the optimum."""
        rng = np.random.default_rng([seed, 12345])
        self.seed, self.noise = seed, noise
        self.space, self.pool = ActionSpace(), pool_of(len(EFFECTS))
        self._effects = dict(zip((r.id for r in self.pool), rng.permutation(EFFECTS), strict=True))
        self._start, self._end = rng.uniform(0.05, 0.4), rng.uniform(0.5, 0.9)
        self._mass = rng.uniform(0.45, 0.7)

    def value(self, action: Action) -> float:
        """Return the score without noise."""
        params = action.params
        weight = len(action.liked) * params.max_weight
        against = len(action.disliked) * params.max_weight * params.neg_scale
        mass, mass_against = weight / (1 + weight), against / (1 + against)
        window = math.exp(
            -(((params.feedback_start - self._start) / 0.3) ** 2)
            - ((params.feedback_end - self._end) / 0.3) ** 2
        )
        for_ = self._mean_effect(action.liked) * math.exp(-(((mass - self._mass) / 0.25) ** 2))
        bump = math.exp(-(((mass_against - 0.3) / 0.3) ** 2)) - math.exp(-1)
        against_ = -0.5 * self._mean_effect(action.disliked) * bump
        return window * (for_ + against_) - 0.5 * max(0.0, mass - 0.8)

    def _mean_effect(self, references: tuple[Reference, ...]) -> float:
        return sum(self._effects[r.id] for r in references) / max(len(references), 1)

    def play(self, proposer: Proposer, trials: int, images: int = 4) -> list[float]:
        """Run a study of so many trials; return the best value without noise so far."""
        history = History(self.space, self.pool, (), "maximize", self.seed)
        best = [-math.inf]
        for index in range(trials):
            action = proposer.propose(history).action
            rng = np.random.default_rng([self.seed, index])
            value = self.value(action)
            values = tuple(float(v) for v in value + self.noise * rng.standard_normal(images))
            trial = Trial(index, 1, action, "test", (1,), TrialStatus.DONE, Score(values))
            history = replace(history, trials=(*history.trials, trial))
            best.append(max(best[-1], value))
        return best[1:]
