"""What is drawn and what is liked: all that a simulated study needs besides people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from PIL.Image import Image

from fabricbo.protocols import Objective, Sampler
from fabricbo.records import Action, Reference
from fabricbo.space import ActionSpace


@dataclass(frozen=True)
class World:
    """A sampler, references, and a taste that nobody but its owner knows."""

    name: str
    settings: Mapping[str, Any]
    """What a study file says besides name, storage, rounds and rating."""
    space: ActionSpace
    pool: tuple[Reference, ...]
    sampler: Sampler
    taste: Callable[[Image], float]
    """How good somebody finds an image, in any unit."""
    value: Callable[[Action], float]
    """How good the images of an action are on the whole, in that unit; no study sees it."""
    ideal: float
    """The best value known."""
    embed: Callable[[Sequence[Any]], Any] | None = None
    objectives: Mapping[str, Objective] = field(default_factory=dict)
    """What is measured, by name; bounds are in the settings."""

    @cached_property
    def hand(self) -> float:
        """The value of the hand settings with all references."""
        return self.value(self.space.hand_action(self.pool))

    def liking(self, image: Image) -> float:
        """Return how much an image is liked: 0 like the hand settings', 1 like the ideal."""
        return self._share(self.taste(image))

    def regret(self, action: Action) -> float:
        """Return the share of the way from the hand settings to the ideal still to go."""
        return 1 - self._share(self.value(action))

    def _share(self, value: float) -> float:
        return (value - self.hand) / (self.ideal - self.hand)
