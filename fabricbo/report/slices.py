"""How the expected score depends on each parameter, as small plots of plain SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fabricbo.assessment import Slice
from fabricbo.records import FabricParams
from fabricbo.report.domain import Domain
from fabricbo.report.wording import ERRORS, number_text, value_text

WIDE = 24.0
"""Values this far apart are drawn one by one: they are all that the parameter takes."""
LEFT, RIGHT, TOP, BOTTOM = 46.0, 272.0, 8.0, 122.0
"""Borders of the plot within the drawing, which is 280 wide and 144 high."""


@dataclass(frozen=True)
class Tick:
    """A labelled height."""

    y: float
    text: str


@dataclass(frozen=True)
class Point:
    """The estimate of one value."""

    x: float
    y: float
    low: float
    """Height of the mean minus two standard errors."""
    high: float


@dataclass(frozen=True)
class Mark:
    """A setting: its value, and where that lies."""

    value: str
    x: float | None
    """None where it lies outside of what was varied."""


@dataclass(frozen=True)
class SlicePlot:
    """A parameter's plot; all coordinates are those of the drawing."""

    parameter: str
    ticks: Sequence[Tick]
    values: Sequence[tuple[float, str, str]]
    """Labels below: where, which, and how it is anchored there."""
    points: Sequence[Point]
    separate: bool
    """Whether points are drawn one by one instead of as a line in a band."""
    best: Mark
    hand: Mark
    text: str
    """The plot in words."""

    @property
    def line(self) -> str:
        """Corners of the line of means."""
        return " ".join(f"{p.x:.1f},{p.y:.1f}" for p in self.points)

    @property
    def band(self) -> str:
        """Corners of the band around the line."""
        low = [f"{p.x:.1f},{p.low:.1f}" for p in self.points]
        return " ".join([*low, *(f"{p.x:.1f},{p.high:.1f}" for p in reversed(self.points))])


@dataclass(frozen=True)
class _Scores:
    """The scale of scores, common to all plots."""

    low: float
    high: float

    def height(self, score: float) -> float:
        return BOTTOM + (TOP - BOTTOM) * (score - self.low) / (self.high - self.low)


def slice_plots(
    slices: Sequence[Slice],
    domains: Mapping[str, Domain],
    *,
    best: FabricParams,
    hand: FabricParams,
) -> list[SlicePlot]:
    """Return the plots of the first objective, those with the largest differences first.

    All have the same scale of scores, so that they can be compared.
    """
    shown = [s for s in slices if s.measure == 0 and s.parameter in domains and s.values]
    if not shown:
        return []
    scores = _common_scale(shown)
    ticks = [Tick(scores.height(t), text) for t, text in ticks_between(scores.low, scores.high)]
    plots = []
    for one in sorted(shown, key=_spread, reverse=True):
        domain = domains[one.parameter]
        marks = [_mark(getattr(params, one.parameter), domain) for params in (best, hand)]
        plots.append(
            SlicePlot(
                parameter=one.parameter,
                ticks=ticks,
                values=_labels(one, domain),
                points=_points(one, domain, scores),
                separate=_is_separate(one, domain),
                best=marks[0],
                hand=marks[1],
                text=_spoken(one, *marks),
            )
        )
    return plots


def ticks_between(low: float, high: float) -> list[tuple[float, str]]:
    """Return two to five round numbers between two others, with as many places as they need.

    The two themselves where they are so near to 0 that floats between them are no round numbers.
    """
    raw = (high - low) / 4
    if raw < 1e-300:
        return [(value, f"{value:.3g}") for value in (low, high)]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    if places > 4 or abs(high) >= 1e6:
        return [(value, f"{value:.3g}") for value in values]
    return [(value, f"{value:.{places}f}") for value in values]


def _common_scale(slices: Sequence[Slice]) -> _Scores:
    ends = [
        estimate.mean + side * ERRORS * estimate.standard_error
        for one in slices
        for estimate in one.estimates
        for side in (-1, 1)
    ]
    low, high = min(ends), max(ends)
    # Nothing differs: any scale shows that, as long as it has a length.
    return _Scores(low, high) if low < high else _Scores(low - 1, high + 1)


def _spread(one: Slice) -> float:
    means = [estimate.mean for estimate in one.estimates]
    return max(means) - min(means)


def _position(value: float, domain: Domain) -> float:
    return LEFT + (RIGHT - LEFT) * domain.to_unit(value)


def _is_separate(one: Slice, domain: Domain) -> bool:
    places = [_position(value, domain) for value in one.values]
    return all(abs(right - left) >= WIDE for left, right in pairwise(places))


def _points(one: Slice, domain: Domain, scores: _Scores) -> list[Point]:
    return [
        Point(
            _position(value, domain),
            scores.height(estimate.mean),
            scores.height(estimate.mean - ERRORS * estimate.standard_error),
            scores.height(estimate.mean + ERRORS * estimate.standard_error),
        )
        for value, estimate in zip(one.values, one.estimates, strict=True)
    ]


def _labels(one: Slice, domain: Domain) -> list[tuple[float, str, str]]:
    if _is_separate(one, domain):
        return [(_position(v, domain), value_text(v), "middle") for v in one.values]
    ends = ((one.values[0], "start"), (one.values[-1], "end"))
    return [(_position(value, domain), value_text(value), anchor) for value, anchor in ends]


def _mark(value: float, domain: Domain) -> Mark:
    return Mark(value_text(value), _position(value, domain) if value in domain else None)


def _spoken(one: Slice, best: Mark, hand: Mark) -> str:
    pairs = list(zip(one.values, one.estimates, strict=True))
    low = min(pairs, key=lambda pair: pair[1].mean)
    high = max(pairs, key=lambda pair: pair[1].mean)
    said = [
        f"expected score {number_text(estimate.mean)} at {value_text(value)}"
        for value, estimate in (pairs[0], pairs[-1])
    ]
    return (
        f"{one.parameter}: {said[0]}, {said[1]}; lowest at {value_text(low[0])}, "
        f"highest at {value_text(high[0])}; best trial at {best.value}, "
        f"hand setting {hand.value}"
    )
