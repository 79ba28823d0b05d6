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
    """That no action that keeps all bounds is better than the best trial by more than the
    tolerance; with several objectives, that the trials' front covers all but the tolerance."""
    tolerance: float
    """What is closer than this counts as as good: in units of the score; where people judge, as
    a share of what lies between the worst and the best trial; with several objectives, as a share
    of the hypervolume that can be covered."""
    expected_gain: float
    """By how much the best action there is should beat the best trial, or what the front should
    leave uncovered, in the same unit."""


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
class Contour:
    """How a measure's expected score depends on two parameters, all else as in the best trial."""

    across: str
    up: str
    across_values: tuple[float, ...]
    up_values: tuple[float, ...]
    estimates: tuple[tuple[Estimate | None, ...], ...]
    """A row for each of `up_values`, in it one for each of `across_values`; None where no action
    can be, such as a window that ends before it starts."""
    measure: int = 0
    """Which measure it is: 0 is the first objective."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object: each estimate a pair of six digits, since they are many."""
        return {
            **asdict(self),
            "estimates": [
                [None if e is None else [_short(e.mean), _short(e.standard_error)] for e in row]
                for row in self.estimates
            ],
        }


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How much of what actions differ in is due to one input, alone or together with others.

    The total Sobol index: the share of the variance, over the whole action space, that would be
    left if everything but this were known. Shares of all inputs add up to 1 or more.
    """

    name: str
    """Of a parameter; `references` is the choice of all of them."""
    share: float
    """Median over draws from the surrogate's posterior, in [0, 1]."""
    low: float
    """2.5 % of the draws lie below."""
    high: float
    """2.5 % of the draws lie above."""
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
    left_out: Mapping[int, tuple[Estimate, ...]] = field(default_factory=dict)
    """Of each trial with a score: what its own images were expected to score by a surrogate that
    knows all trials but this one, one a measure, by the trial's index. The standard errors are
    those of a measured mean, its noise included. Only the hyperparameters know the trial."""
    contours: tuple[Contour, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()

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
            "left_out": {
                str(index): [asdict(estimate) for estimate in found]
                for index, found in self.left_out.items()
            },
            "contours": [contour.to_json() for contour in self.contours],
            "sensitivities": [asdict(one) for one in self.sensitivities],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Assessment":
        """Read what `to_json` wrote, also in versions that knew less; theirs is empty then."""
        return cls(
            estimates=_by_trial(data["estimates"]),
            utilities={
                int(index): Estimate(**found) for index, found in data.get("utilities", {}).items()
            },
            advice=None if data["advice"] is None else Advice(**data["advice"]),
            effects=tuple(_effect(**row) for row in data["effects"]),
            slices=tuple(_slice(**row) for row in data["slices"]),
            left_out=_by_trial(data.get("left_out", {})),
            contours=tuple(_contour(**row) for row in data.get("contours", ())),
            sensitivities=tuple(Sensitivity(**row) for row in data.get("sensitivities", ())),
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


def _by_trial(data: Mapping[str, Any]) -> dict[int, tuple[Estimate, ...]]:
    return {int(index): tuple(Estimate(**one) for one in found) for index, found in data.items()}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _contour(across_values: Any, up_values: Any, estimates: Any, **rest: Any) -> Contour:
    rows = (tuple(None if one is None else Estimate(*one) for one in row) for row in estimates)
    return Contour(
        across_values=tuple(across_values),
        up_values=tuple(up_values),
        estimates=tuple(rows),
        **rest,
    )


def _effect(liked: Any, disliked: Any, **rest: Any) -> ReferenceEffect:
    return ReferenceEffect(liked=Estimate(**liked), disliked=Estimate(**disliked), **rest)


def _slice(values: Any, estimates: Any, **rest: Any) -> Slice:
    found = tuple(Estimate(**estimate) for estimate in estimates)
    return Slice(values=tuple(values), estimates=found, **rest)
