"""Simulated people: what they answer, given what they see.

Likings are in shares of the way from the hand settings (0) to the best there is (1).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabricbo.votes import Kind

INDIFFERENT = 0.02
"""Likings nearer to each other than this are a tie."""
STARS_ABOVE = (0.0, 0.3, 0.6, 0.9)
"""Likings above which there is another star."""
MARGIN = 0.05
"""By how much an image must differ from what somebody has seen so far to be liked or disliked."""


@dataclass(frozen=True)
class Habits:
    """How somebody judges."""

    noise: float = 0.05
    """Standard deviation of what they see in an image, at each look."""
    lazy: float = 0.0
    """Share of answers that are given without looking."""
    left: float = 0.0
    """What being on the left is worth."""
    drift: float = 0.0
    """By how much standards rise in the course of a hundred judgements."""


PEOPLE: Mapping[str, Habits] = {
    "careful": Habits(),
    "noisy": Habits(noise=0.25),
    "lazy": Habits(lazy=0.3),
    "left-biased": Habits(left=0.15),
    "drifting": Habits(drift=0.6),
}


class Person:
    """Somebody who has seen some images already."""

    def __init__(self, habits: Habits, seed: int) -> None:
        """Take habits, and a seed of all chance in them."""
        self._habits = habits
        self._rng = random.Random(f"person {seed}")
        self._seen: list[float] = []
        self.judgements = 0
        """Given so far: one a choice or rating, one an image where each is judged."""

    def answer(self, kind: Kind, likings: Sequence[float]) -> str:
        """Answer a question.

        Args:
            kind: of the question.
            likings: of the images in the order in which they are shown.
        """
        self.judgements += len(likings) if kind == "like" else 1
        looks = self._rng.random() >= self._habits.lazy
        seen = [self._look(liking) if looks else self._rng.random() for liking in likings]
        if kind == "pairwise":
            return self._pair(*seen)
        if kind == "best-of":
            return str(1 + seen.index(max(seen)))
        return self._stars(seen) if kind == "stars" else self._likes(seen)

    def _look(self, liking: float) -> float:
        return liking + self._rng.gauss(0, self._habits.noise)

    def _pair(self, left: float, right: float) -> str:
        gain = left + self._habits.left - right
        if abs(gain) < INDIFFERENT:
            return "tie"
        return "left" if gain > 0 else "right"

    def _stars(self, seen: Sequence[float]) -> str:
        mean = sum(seen) / len(seen) - self._standards
        return str(1 + sum(mean > border for border in STARS_ABOVE))

    def _likes(self, seen: Sequence[float]) -> str:
        """Like what is better than what was seen so far, on the average."""
        self._seen += seen
        usual = sum(self._seen) / len(self._seen) + self._standards
        return ",".join(
            "liked" if s > usual + MARGIN else "disliked" if s < usual - MARGIN else "neither"
            for s in seen
        )

    @property
    def _standards(self) -> float:
        return self._habits.drift * self.judgements / 100
