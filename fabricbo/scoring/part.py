"""What a combined objective is made of."""

import math
from dataclasses import dataclass

from fabricbo.protocols import Objective
from fabricbo.scoring.errors import ObjectiveError


@dataclass(frozen=True)
class Part:
    """One objective among several that make up one.

    Raises:
        ObjectiveError: a weight that is not above 0 and finite.
    """

    name: str
    """What messages call it."""
    objective: Objective
    weight: float = 1.0
    """How much it counts, above 0; a minimized objective keeps its direction."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ObjectiveError(f"weight of {self.name} must be above 0, got {self.weight}")
