"""What a proposer makes of the trials so far: how good they are, what helped, whether to go on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is expected, given all trials."""

    mean: float
    standard_error: float
    """Of the expected score, not of a single image."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether it is worth going on."""

    probability: float
    """That no action is better than the best trial by more than the tolerance."""
    tolerance: float
    """What is closer than this counts as as good: in units of the score; where people judge, as
    a share of what lies between the worst and the best trial."""
    expected_gain: float
    """By how much the best action there is should beat the best trial, in the same unit."""


@dataclass(frozen=True, slots=True)
class ReferenceEffect:
    """What a reference does at the best settings: change of a measure's expected score."""

    reference: str
    """Its identity."""
    liked: Estimate
    """When it is liked instead of unused, all else as in the best trial."""
    disliked: Estimate
    """When it is disliked instead of unused."""
    measure: int = 0
    """Which measure changes: 0 is the first objective."""


@dataclass(frozen=True, slots=True)
class Slice:
    """How a measure's expected score depends on one parameter, all else as in the best trial."""

    parameter: str
    values: tuple[float, ...]
    estimates: tuple[Estimate, ...]
    """One a value."""
    measure: int = 0
    """Which measure it is: 0 is the first objective."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the surrogate makes of a study."""

    estimates: Mapping[int, tuple[Estimate, ...]] = field(default_factory=dict)
    """Of each trial with a score: one a measure, by the trial's index."""
    advice: Advice | None = None
    """None where nobody can say."""
    effects: tuple[ReferenceEffect, ...] = ()
    slices: tuple[Slice, ...] = ()
    utilities: Mapping[int, Estimate] = field(default_factory=dict)
    """Where people judge: how good they find each trial that was judged or has a score, by its
    index. Higher is better; the unit says nothing. Empty where nobody judged."""

    def to_json(self) -> dict[str, Any]:
        """Return the assessment as a JSON object."""
        return {
            "estimates": {
                str(index): [asdict(estimate) for estimate in found]
                for index, found in self.estimates.items()
            },
            "utilities": {str(index): asdict(found) for index, found in self.utilities.items()},
            "advice": None if self.advice is None else asdict(self.advice),
            "effects": [asdict(effect) for effect in self.effects],
            "slices": [asdict(slice_) for slice_ in self.slices],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Assessment":
        """Read what `to_json` wrote; before there were utilities it wrote none."""
        return cls(
            estimates={
                int(index): tuple(Estimate(**one) for one in found)
                for index, found in data["estimates"].items()
            },
            utilities={
                int(index): Estimate(**found) for index, found in data.get("utilities", {}).items()
            },
            advice=None if data["advice"] is None else Advice(**data["advice"]),
            effects=tuple(_effect(**row) for row in data["effects"]),
            slices=tuple(_slice(**row) for row in data["slices"]),
        )


@dataclass(frozen=True, slots=True)
class Analysed:
    """One result of a library's analysis, ready to be shown."""

    name: str
    """Of the analysis."""
    title: str
    subtitle: str = ""
    figure: str | None = None
    """A plotly figure as JSON; None where the result is a table."""
    table: tuple[tuple[str, ...], ...] = ()
    """Header, then rows."""
    problem: str | None = None
    """Why there is no result."""


def _effect(liked: Any, disliked: Any, **rest: Any) -> ReferenceEffect:
    return ReferenceEffect(liked=Estimate(**liked), disliked=Estimate(**disliked), **rest)


def _slice(values: Any, estimates: Any, **rest: Any) -> Slice:
    found = tuple(Estimate(**estimate) for estimate in estimates)
    return Slice(values=tuple(values), estimates=found, **rest)
