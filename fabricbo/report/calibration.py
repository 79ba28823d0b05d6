"""Whether the surrogate can be trusted: what it predicted of trials that it did not know.

Each trial is predicted by a surrogate that knows all others (leave-one-out), and set against what
its own images scored. Predictions of trials that a surrogate was fitted to would say nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

import plotly.graph_objects as go

from fabricbo.assessment import Estimate
from fabricbo.records import Trial
from fabricbo.report.plot import COLOURS, GRID, LABELS, LAYOUT, OTHER, TEXT, escaped
from fabricbo.report.wording import ERRORS, number_text

FEWEST = 5
"""Trials below which a share of hits says nothing."""
_EXPECTED = 2 * NormalDist().cdf(ERRORS) - 1


@dataclass(frozen=True)
class Predicted:
    """A trial as it was predicted without itself, and as it was seen."""

    trial: int
    source: str
    expected: float
    error: float
    """Standard error of the prediction, the noise of the trial's own images included."""
    seen: float

    @property
    def hit(self) -> bool:
        """Whether what was seen lies in the interval."""
        return abs(self.seen - self.expected) <= ERRORS * self.error


@dataclass(frozen=True)
class Calibration:
    """All predictions, and what they come to."""

    points: Sequence[Predicted]

    @property
    def hits(self) -> int:
        """How many intervals hold what was seen."""
        return sum(point.hit for point in self.points)

    @property
    def explained(self) -> float:
        """Share of the differences between trials that was predicted; below 0: worse than a mean.

        The mean that it is compared with is each time that of the other trials, too.
        """
        seen = [point.seen for point in self.points]
        count, mean = len(seen), fmean(seen)
        missed = math.fsum((point.seen - point.expected) ** 2 for point in self.points)
        # Without the trial itself the mean is farther from it by the factor n / (n - 1).
        naive = math.fsum(((one - mean) * count / (count - 1)) ** 2 for one in seen)
        return 1 - missed / naive if naive else 0.0


def calibration(
    trials: Sequence[Trial], left_out: Mapping[int, tuple[Estimate, ...]]
) -> Calibration | None:
    """Return the predictions of the first objective; None where there are fewer than `FEWEST`."""
    points = [
        Predicted(
            trial.index,
            trial.source,
            left_out[trial.index][0].mean,
            left_out[trial.index][0].standard_error,
            trial.score.mean,
        )
        for trial in trials
        if trial.score is not None and trial.index in left_out
    ]
    return Calibration(points) if len(points) >= FEWEST else None


def calibration_text(found: Calibration) -> str:
    """Say in plain words how far predictions can be trusted."""
    count, hits, explained = len(found.points), found.hits, found.explained
    said = (
        f"{hits} of {count} intervals hold what was then seen, where about "
        f"{_EXPECTED * count:.0f} should: "
    )
    said += f"{_honesty(hits, count)}. "
    if explained <= 0:
        return said + "The predictions were no better than guessing the mean of the other trials."
    return said + f"{explained:.0%} of the differences between trials were predicted."


def _honesty(hits: int, count: int) -> str:
    """Judge a number of hits by how likely so few are, were the intervals right."""
    fewer = math.fsum(
        math.comb(count, k) * _EXPECTED**k * (1 - _EXPECTED) ** (count - k) for k in range(hits + 1)
    )
    if fewer < 0.05:
        return "the surrogate is surer of itself than it should be"
    return "that is as it should be"


def calibration_figure(found: Calibration, *, name: str) -> go.Figure:
    """Draw what was seen against what was predicted; on the diagonal they are the same."""
    figure = go.Figure()
    ends = [
        end
        for p in found.points
        for end in (p.seen, p.expected - ERRORS * p.error, p.expected + ERRORS * p.error)
    ]
    figure.add_scatter(
        x=[min(ends), max(ends)],
        y=[min(ends), max(ends)],
        mode="lines",
        line={"color": TEXT, "dash": "dot", "width": 1.5},
        name="predicted as seen",
        hoverinfo="skip",
    )
    for source in dict.fromkeys(point.source for point in found.points):
        _add(figure, source, [point for point in found.points if point.source == source])
    figure.update_layout(**LAYOUT)
    axis = {"gridcolor": GRID, "zeroline": False}
    figure.update_xaxes(title=f"predicted {escaped(name)}", **axis)
    figure.update_yaxes(title=f"seen {escaped(name)}", **axis)
    return figure


def _add(figure: go.Figure, source: str, points: Sequence[Predicted]) -> None:
    figure.add_scatter(
        x=[point.expected for point in points],
        y=[point.seen for point in points],
        error_x={"array": [ERRORS * p.error for p in points], "width": 0, "thickness": 1},
        mode="markers",
        marker={
            "size": 9,
            "color": COLOURS.get(source, OTHER),
            "symbol": ["circle" if point.hit else "diamond-open" for point in points],
        },
        name=LABELS.get(source, escaped(source)),
        customdata=[point.trial for point in points],
        text=[
            f"trial {p.trial}: predicted {number_text(p.expected)}, seen {number_text(p.seen)}"
            for p in points
        ],
        hovertemplate="%{text}<extra></extra>",
    )
