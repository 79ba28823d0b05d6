"""Two settings at a time: the expected score as a map of bands, with trials' images on it.

The map is an image of a few colours, which holds no text and is drawn by no script.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fabricbo.assessment import Contour
from fabricbo.records import Trial
from fabricbo.report.domain import Domain
from fabricbo.report.embed import EmbeddedImages
from fabricbo.report.painting import Box, Grid, painted
from fabricbo.report.pictures import Picture
from fabricbo.report.wording import number_text, value_text
from fabricbo.scores import Direction

_MOST_IMAGES = 6
_APART = 14.0
"""Percent of a side that images keep between their middles."""


@dataclass(frozen=True)
class Pinned:
    """A trial's image on the map."""

    picture: Picture
    trial: int
    left: float
    bottom: float
    """Percent of the map's sides."""
    kind: str
    """`best`, `hand`, or empty."""


@dataclass(frozen=True)
class Map:
    """The map of a pair of parameters."""

    across: str
    up: str
    ends: tuple[str, str, str, str]
    """Left, right, bottom and top values."""
    uri: str
    """The image, as a data URI."""
    pinned: Sequence[Pinned]
    text: str
    """The map in words."""


@dataclass(frozen=True)
class Ramp:
    """What the colours of all maps stand for."""

    worst: str
    best: str


def ramp(contours: Sequence[Contour], direction: Direction) -> Ramp:
    """Return the ends of the common scale."""
    low, high = _scale(contours)
    ends = (low, high) if direction == "maximize" else (high, low)
    return Ramp(*map(number_text, ends))


@dataclass(frozen=True)
class Placed:
    """The trials that may be shown on maps."""

    trials: Sequence[Trial]
    domains: Mapping[str, Domain]
    best: Trial
    worth: Mapping[int, float]
    """How good each is, by its index, higher better; those that are not there are not shown."""

    @property
    def ranked(self) -> list[Trial]:
        """Those with images: the best, the hand settings, then by what they are worth."""
        return sorted(
            (trial for trial in self.trials if trial.index in self.worth and trial.images),
            key=lambda trial: (
                trial.index != self.best.index,
                trial.index != 0,
                -self.worth[trial.index],
            ),
        )


def maps(
    contours: Sequence[Contour], placed: Placed, direction: Direction, embedded: EmbeddedImages
) -> list[Map]:
    """Return the maps of the first objective, all with one scale."""
    domains = placed.domains
    shown = [c for c in contours if c.measure == 0 and {c.across, c.up} <= domains.keys()]
    if not shown:
        return []
    (low, high), ranked = _scale(shown), placed.ranked
    sign = 1 if direction == "maximize" else -1
    found = []
    for contour in shown:
        means, errors = _grids(contour)
        heights = (means - low) / (high - low)
        found.append(
            Map(
                across=contour.across,
                up=contour.up,
                ends=_ends(contour),
                uri=painted(heights if sign > 0 else 1 - heights, errors, _box(contour, domains)),
                pinned=_pinned(contour, ranked, placed, embedded),
                text=_spoken(contour, sign),
            )
        )
    return found


def _scale(contours: Sequence[Contour]) -> tuple[float, float]:
    means = [e.mean for c in contours for row in c.estimates for e in row if e is not None]
    low, high = min(means, default=0.0), max(means, default=1.0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _ends(contour: Contour) -> tuple[str, str, str, str]:
    (left, *_, right), (bottom, *_, top) = contour.across_values, contour.up_values
    return value_text(left), value_text(right), value_text(bottom), value_text(top)


def _grids(contour: Contour) -> tuple[Grid, Grid]:
    """Return means and standard errors, top row first; NaN where no action can be."""
    rows = [
        [(np.nan, np.nan) if e is None else (e.mean, e.standard_error) for e in row]
        for row in contour.estimates
    ]
    cells = np.array(rows, dtype=np.float64)[::-1]
    return cells[..., 0], cells[..., 1]


def _box(contour: Contour, domains: Mapping[str, Domain]) -> Box:
    """Return which part of the grid the map shows: between the middles of its outermost cells.

    All of it along a choice, whose values are in the middles of their shares.
    """
    wide, high = len(contour.across_values), len(contour.up_values)
    edge = [
        0.5 if domains[name].to_unit(values[0]) < 0.25 / len(values) else 0.0
        for name, values in (
            (contour.across, contour.across_values),
            (contour.up, contour.up_values),
        )
    ]
    return edge[0], edge[1], wide - edge[0], high - edge[1]


def _pinned(
    contour: Contour, ranked: Sequence[Trial], placed: Placed, embedded: EmbeddedImages
) -> list[Pinned]:
    """Place images, the most important first, where there is room for them."""
    found: list[Pinned] = []
    for trial in ranked:
        where = _where(contour, trial, placed.domains)
        if where is None or any(_near(where, (pin.left, pin.bottom)) for pin in found):
            continue
        kind = "best" if trial.index == placed.best.index else "hand" if trial.index == 0 else ""
        said = {"best": ", the best", "hand": ", the hand settings", "": ""}[kind]
        picture = Picture(embedded.name(trial.images[0]), f"image of trial {trial.index}{said}")
        found.append(Pinned(picture, trial.index, *where, kind))
        if len(found) == _MOST_IMAGES:
            break
    return found


def _where(
    contour: Contour, trial: Trial, domains: Mapping[str, Domain]
) -> tuple[float, float] | None:
    """Return a trial's place in percent; None outside of the map."""
    values = {name: getattr(trial.action.params, name) for name in (contour.across, contour.up)}
    if not all(value in domains[name] for name, value in values.items()):
        return None
    left, bottom = (100 * domains[name].to_unit(value) for name, value in values.items())
    return left, bottom


def _near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < _APART


def _spoken(contour: Contour, sign: int) -> str:
    cells = [
        (sign * estimate.mean, estimate.mean, x, y)
        for y, row in zip(contour.up_values, contour.estimates, strict=True)
        for x, estimate in zip(contour.across_values, row, strict=True)
        if estimate is not None
    ]
    said = []
    for word, (_, mean, x, y) in (("best", max(cells)), ("worst", min(cells))):
        where = f"{contour.across} {value_text(x)}, {contour.up} {value_text(y)}"
        said.append(f"{word} at {where}, expected score {number_text(mean)}")
    return f"{contour.across} across, {contour.up} up: {'; '.join(said)}"
