"""The curves of several studies in one chart, for each thing that is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import plotly.graph_objects as go

from fabricbo.report.known import Known
from fabricbo.report.leaders import Lead, leads
from fabricbo.report.plot import GRID, LAYOUT, escaped
from fabricbo.report.wording import ERRORS

_COLOURS = ("#e4572e", "#3f8fd2", "#2e9e6b", "#9b5de5", "#c08b1d", "#d1498b", "#5b7083", "#7a5230")
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Line:
    """Who led when in one study."""

    study: str
    measured: str
    direction: str
    leads: Sequence[Lead]
    colour: str
    dash: str


def lines(known: Sequence[Known], names: Sequence[str]) -> list[Line]:
    """Return the lines of the studies that have a score, each with a look of its own."""
    looks = zip(known, names, cycle(_COLOURS), cycle(_DASHES), strict=False)
    found = []
    for one, name, colour, dash in looks:
        study, estimates = one.study, one.assessment.estimates
        led = leads(one.trials, study.direction, estimates, broken=one.broken)
        if led:
            found.append(Line(name, study.objective_name, study.direction, led, colour, dash))
    return found


def figures(found: Sequence[Line]) -> list[tuple[str, go.Figure]]:
    """Return a chart for each thing that is measured, after what it shows in words."""
    drawn = []
    for aim in dict.fromkeys((line.measured, line.direction) for line in found):
        group = [line for line in found if (line.measured, line.direction) == aim]
        text = f"Best {aim[0]} so far by trial: {', '.join(line.study for line in group)}"
        drawn.append((text, _figure(group, aim[0])))
    return drawn


def _figure(group: Sequence[Line], measured: str) -> go.Figure:
    figure = go.Figure()
    for line in group:
        _add(figure, line)
    figure.update_layout(**LAYOUT)
    figure.update_xaxes(title="trial", showgrid=False, zeroline=False)
    figure.update_yaxes(title=escaped(measured), gridcolor=GRID, zeroline=False)
    return figure


def _add(figure: go.Figure, line: Line) -> None:
    """Draw a line, and the interval at its end."""
    last = line.leads[-1]
    figure.add_scatter(
        x=[lead.at for lead in line.leads],
        y=[lead.mean for lead in line.leads],
        mode="lines",
        line={"shape": "hv", "color": line.colour, "dash": line.dash, "width": 2.5},
        name=escaped(line.study),
        legendgroup=line.study,
        hovertemplate="after trial %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
    )
    figure.add_scatter(
        x=[last.at],
        y=[last.mean],
        error_y={"array": [ERRORS * last.error], "width": 5},
        mode="markers",
        marker={"color": line.colour, "size": 9},
        legendgroup=line.study,
        showlegend=False,
        hoverinfo="skip",
    )
