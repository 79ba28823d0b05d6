"""What trials are judged by: scores of objectives, bounds to keep, preferences of people."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize"]
OverPrompts = Literal["mean", "min", "max"]

MAX_SCORE = 1e150
"""Largest score in size: its square is still a float."""


@dataclass(frozen=True, slots=True)
class Score:
    """What an objective said about the images of one trial.

    Raises:
        ValueError: no value, one that is not finite or beyond `MAX_SCORE`, or not as many for
            each prompt.
    """

    values: tuple[float, ...]
    """One value an image, prompt after prompt; one a prompt when the objective scores whole
    batches. At most `MAX_SCORE` in size."""
    prompts: int = 1
    """How many prompts were drawn, each with the same seeds."""
    over: OverPrompts = "mean"
    """What counts of several prompts: their mean, or the one with the lowest or highest mean."""

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a score needs at least one value, got none")
        if self.prompts < 1 or len(self.values) % self.prompts:
            raise ValueError(
                f"a score needs as many values for each prompt, got {len(self.values)} for "
                f"{self.prompts} prompts"
            )
        for value in self.values:
            if not is_finite(value):
                raise ValueError(f"a score must be finite, got {value}")
            if abs(value) > MAX_SCORE:
                raise ValueError(f"a score must be at most {MAX_SCORE:g} in size, got {value:g}")

    @property
    def by_prompt(self) -> tuple[tuple[float, ...], ...]:
        """The values of each prompt."""
        length = len(self.values) // self.prompts
        starts = range(0, len(self.values), length)
        return tuple(self.values[start : start + length] for start in starts)

    @property
    def by_seed(self) -> tuple[float, ...]:
        """What counts, one value a seed: the noise of a score is that of its seeds."""
        if self.over == "mean":
            return tuple(map(_mean, zip(*self.by_prompt, strict=True)))
        return (min if self.over == "min" else max)(self.by_prompt, key=_mean)

    @property
    def mean(self) -> float:
        """Mean over the seeds of what counts."""
        return _mean(self.by_seed)

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean; None for a single value, whose noise is unknown."""
        values = self.by_seed
        n, mean = len(values), _mean(values)
        if n < 2:
            return None
        return math.hypot(*(value - mean for value in values)) / math.sqrt(n * (n - 1))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is measured of a trial's images besides the first objective.

    Without a bound it is a further objective; with one it is to be kept, no more.

    Raises:
        ValueError: a bound or reference point that is not finite, bounds that leave nothing, or
            a reference point of what is only bounded.
    """

    name: str
    direction: Direction = "maximize"
    at_least: float | None = None
    """Smallest mean score that is allowed; None: no such bound."""
    at_most: float | None = None
    """Largest mean score that is allowed; None: no such bound."""
    reference_point: float | None = None
    """What an objective must at least reach to count, among several; None: inferred."""

    def __post_init__(self) -> None:
        for name in ("at_least", "at_most", "reference_point"):
            value = getattr(self, name)
            if value is not None and not is_finite(value):
                raise ValueError(f"{name} must be finite, got {value}")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"{self.name} cannot be at least {self.at_least:g} and at most {self.at_most:g}"
            )
        if self.reference_point is not None and self.is_constraint:
            raise ValueError(f"{self.name} is bounded, so it has no reference point")

    @property
    def is_constraint(self) -> bool:
        """Whether it is bounded instead of optimized."""
        return self.at_least is not None or self.at_most is not None

    def allows(self, value: float) -> bool:
        """Tell whether a mean score keeps the bounds."""
        return self.missed_by(value) <= 0

    def missed_by(self, value: float) -> float:
        """Return by how much a mean score misses the bounds; 0 where it keeps them."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return max(low - value, value - high, 0.0)

    @property
    def bounds_text(self) -> str:
        """The bounds as in a study file, such as `nsfw <= 0.1`."""
        low = [] if self.at_least is None else [f"{self.name} >= {self.at_least:g}"]
        high = [] if self.at_most is None else [f"{self.name} <= {self.at_most:g}"]
        return " and ".join((*low, *high))


@dataclass(frozen=True, slots=True)
class Preference:
    """A person's judgement of two trials.

    Raises:
        ValueError: a trial is compared with itself.
    """

    better: int
    """Index of the trial that is preferred."""
    worse: int
    """Index of the other one."""
    tie: bool = False
    """Whether neither was preferred; then the order says nothing."""
    rater: int | None = None
    """Who said so; None for the study's owner."""
    left: int | None = None
    """Index of the trial that was shown on the left, if that is known."""

    def __post_init__(self) -> None:
        if self.better == self.worse:
            raise ValueError(f"trial {self.better} cannot be compared with itself")


def is_finite(value: float) -> bool:
    """Tell whether a number is one that a float can hold; whole numbers may be longer."""
    return -sys.float_info.max <= value <= sys.float_info.max
