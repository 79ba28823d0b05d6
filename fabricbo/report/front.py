"""Several objectives: the trials by the first two of them, and those that none other beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from fabricbo.assessment import Estimate
from fabricbo.best import expected_scores
from fabricbo.records import Trial
from fabricbo.report.plot import COLOURS, GRID, LABELS, LAYOUT, OTHER, escaped
from fabricbo.report.wording import number_text
from fabricbo.scores import Measure

_FRONT = "#e4572e"


@dataclass(frozen=True)
class Spot:
    """A trial by two objectives: what it is expected to score, measured where nothing is."""

    trial: int
    source: str
    x: float
    y: float
    on_front: bool
    breaks: bool
    """Whether it breaks a bound."""


@dataclass(frozen=True)
class Plane:
    """The first two objectives and the trials by them."""

    across: Measure
    up: Measure
    spots: Sequence[Spot]
    only_two: bool
    """Whether there are no other objectives: then the front is a staircase."""

    @property
    def front(self) -> list[Spot]:
        """The front, best by the first objective first."""
        sign = 1 if self.across.direction == "maximize" else -1
        found = [spot for spot in self.spots if spot.on_front]
        return sorted(found, key=lambda spot: -sign * spot.x)


def objectives(measures: Sequence[Measure]) -> list[int]:
    """Return which of the measures are optimized."""
    return [i for i, measure in enumerate(measures) if not measure.is_constraint]


def plane(
    trials: Sequence[Trial],
    measures: Sequence[Measure],
    estimates: Mapping[int, tuple[Estimate, ...]],
    *,
    front: Sequence[Trial],
    breaking: Sequence[Trial],
) -> Plane | None:
    """Place the scored trials; None with a single objective, or without any score."""
    which = objectives(measures)
    done = [trial for trial in trials if trial.score is not None]
    if len(which) < 2 or not done:
        return None
    best, broken = {t.index for t in front}, {t.index for t in breaking}
    spots = []
    for trial in done:
        values = expected_scores(trial, estimates)
        spots.append(
            Spot(
                trial=trial.index,
                source=trial.source,
                x=values[which[0]],
                y=values[which[1]],
                on_front=trial.index in best,
                breaks=trial.index in broken,
            )
        )
    return Plane(measures[which[0]], measures[which[1]], spots, len(which) == 2)


def front_figure(plane: Plane) -> go.Figure:
    """Draw the trials and, of two objectives, the front as a staircase."""
    figure = go.Figure()
    if plane.only_two:
        _add_stairs(figure, plane)
    for source in dict.fromkeys(spot.source for spot in plane.spots):
        _add_spots(figure, source, [spot for spot in plane.spots if spot.source == source])
    figure.update_layout(**LAYOUT)
    figure.update_xaxes(title=_title(plane.across), gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title=_title(plane.up), gridcolor=GRID, zeroline=False)
    return figure


def _title(measure: Measure) -> str:
    better = "higher" if measure.direction == "maximize" else "lower"
    return f"{escaped(measure.name)} ({better} is better)"


def _add_stairs(figure: go.Figure, plane: Plane) -> None:
    """What lies on the worse side of the line is beaten by a trial of the front."""
    steps = sorted(plane.front, key=lambda spot: spot.x)
    figure.add_scatter(
        x=[spot.x for spot in steps],
        y=[spot.y for spot in steps],
        mode="lines",
        line={
            "shape": "vh" if plane.across.direction == "maximize" else "hv",
            "color": _FRONT,
            "width": 1.5,
            "dash": "dot",
        },
        name="Pareto front",
        hoverinfo="skip",
    )


def _add_spots(figure: go.Figure, source: str, spots: Sequence[Spot]) -> None:
    figure.add_scatter(
        x=[spot.x for spot in spots],
        y=[spot.y for spot in spots],
        mode="markers",
        marker={
            "size": [13 if spot.on_front else 8 for spot in spots],
            "symbol": ["x" if spot.breaks else "circle" for spot in spots],
            "color": COLOURS.get(source, OTHER),
            "line": {"color": _FRONT, "width": [2 if spot.on_front else 0 for spot in spots]},
        },
        name=LABELS.get(source, escaped(source)),
        customdata=[spot.trial for spot in spots],
        text=[_hover(spot) for spot in spots],
        hovertemplate="%{text}<extra></extra>",
    )


def _hover(spot: Spot) -> str:
    said = f"trial {spot.trial}: {number_text(spot.x)}, {number_text(spot.y)}"
    if spot.on_front:
        said += "<br>on the Pareto front"
    return said + ("<br>breaks a bound" if spot.breaks else "")
