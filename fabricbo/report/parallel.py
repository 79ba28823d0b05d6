"""Parallel coordinates: each trial a line through its settings and scores, in plain SVG.

Plotly's own need WebGL and a browser that lets scripts make code (`unsafe-eval`), which the page
forbids.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabricbo.records import Trial
from fabricbo.report.domain import Domain
from fabricbo.report.wording import number_text, value_text
from fabricbo.scores import Measure

FEWEST = 5
"""Trials with scores below which a table of cards says more."""
SPACING, MARGIN, TOP, BOTTOM = 112.0, 56.0, 64.0, 264.0
"""Of the drawing, which is 292 high."""
_WORST, _MIDDLE, _BEST = (0x3F, 0x8F, 0xD2), (0x9A, 0x8C, 0x98), (0xE4, 0x57, 0x2E)
_LABEL = 13
"""Most characters in a line of an axis' label."""


@dataclass(frozen=True)
class Axis:
    """A setting or score, lowest value at the bottom unless lower scores are better."""

    x: float
    label: Sequence[str]
    """Its name, in short lines."""
    top: str
    """The value at the upper end."""
    bottom: str


@dataclass(frozen=True)
class Line:
    """A trial."""

    corners: str
    colour: str
    is_best: bool
    text: str


@dataclass(frozen=True)
class Parallel:
    """The whole drawing."""

    width: float
    axes: Sequence[Axis]
    lines: Sequence[Line]
    """Those with the best scores last, on top of the others."""
    score: str
    """What the colour stands for."""
    text: str
    """The drawing in words."""


@dataclass(frozen=True)
class _Column:
    """The values of one axis, one a trial."""

    name: str
    heights: Sequence[float]
    """0 at the bottom, 1 at the top."""
    texts: Sequence[str]


def parallel_coordinates(
    trials: Sequence[Trial],
    domains: Mapping[str, Domain],
    measures: Sequence[Measure],
    best: Trial | None,
) -> Parallel | None:
    """Return the drawing of the trials with scores; None where there are fewer than `FEWEST`."""
    done = [trial for trial in trials if trial.score is not None]
    if len(done) < FEWEST:
        return None
    scores = [_score_column(measure, done, i) for i, measure in enumerate(measures)]
    columns = [
        *(_parameter_column(name, done, domain) for name, domain in domains.items()),
        *_role_columns(done),
        *scores,
    ]
    order = sorted(range(len(done)), key=lambda i: scores[0].heights[i])
    lines = [_line(done[i], i, columns, scores[0].heights[i], best) for i in order]
    return Parallel(
        width=2 * MARGIN + SPACING * (len(columns) - 1),
        axes=[_axis(number, column) for number, column in enumerate(columns)],
        lines=lines,
        score=measures[0].name,
        text=f"{len(done)} trials as lines through {', '.join(c.name for c in columns)}",
    )


def _parameter_column(name: str, trials: Sequence[Trial], domain: Domain) -> _Column:
    values = [float(getattr(trial.action.params, name)) for trial in trials]
    inside = all(value in domain for value in values)  # hand settings may lie outside
    positions = [domain.to_unit(value) for value in values] if inside else values
    return _Column(name, _stretched(positions), [value_text(value) for value in values])


def _role_columns(trials: Sequence[Trial]) -> list[_Column]:
    """Return how many references were liked and disliked, each if that varied."""
    counts = {
        "liked references": [len(trial.action.liked) for trial in trials],
        "disliked references": [len(trial.action.disliked) for trial in trials],
    }
    return [
        _Column(name, _stretched(numbers), [str(number) for number in numbers])
        for name, numbers in counts.items()
        if len(set(numbers)) > 1
    ]


def _score_column(measure: Measure, trials: Sequence[Trial], index: int) -> _Column:
    means = [trial.scores[index].mean for trial in trials]
    sign = -1 if _lower_is_better(measure) else 1
    heights = _stretched([sign * mean for mean in means])
    return _Column(measure.name, heights, [number_text(mean) for mean in means])


def _lower_is_better(measure: Measure) -> bool:
    if measure.is_constraint:
        return measure.at_least is None
    return measure.direction == "minimize"


def _stretched(values: Sequence[float]) -> list[float]:
    """Map the smallest value to 0 and the largest to 1; to the middle where all are equal."""
    low, high = min(values), max(values)
    return [0.5 if low == high else (value - low) / (high - low) for value in values]


def _axis(number: int, column: _Column) -> Axis:
    pairs = list(zip(column.heights, column.texts, strict=True))
    return Axis(_x(number), _short_lines(column.name), max(pairs)[1], min(pairs)[1])


def _line(
    trial: Trial, index: int, columns: Sequence[_Column], height: float, best: Trial | None
) -> Line:
    corners = (
        f"{_x(number):.1f},{BOTTOM + (TOP - BOTTOM) * column.heights[index]:.1f}"
        for number, column in enumerate(columns)
    )
    said = ", ".join(f"{column.name} {column.texts[index]}" for column in columns)
    is_best = best is not None and best.index == trial.index
    return Line(" ".join(corners), _colour(height), is_best, f"trial {trial.index}: {said}")


def _x(number: int) -> float:
    return MARGIN + SPACING * number


def _colour(height: float) -> str:
    """Blend from the worst score's blue over grey to the best one's orange."""
    start, end, share = _WORST, _MIDDLE, 2 * height
    if height > 0.5:
        start, end, share = _MIDDLE, _BEST, 2 * height - 1
    mixed = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _short_lines(name: str) -> list[str]:
    """Break a name after underscores, hyphens and spaces; cut what is still too long."""
    lines = [""]
    for word in re.findall(r"[^_\s-]*[_\s-]?", name):
        if lines[-1] and len((lines[-1] + word).rstrip()) > _LABEL:
            lines.append(word)
        else:
            lines[-1] += word
    words = [line.rstrip() for line in lines if line.strip()]
    return [line if len(line) <= _LABEL else line[: _LABEL - 1] + "…" for line in words][:3]
