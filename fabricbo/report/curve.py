"""The curves of scores: by trial with the best so far, and by round."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from fabricbo.assessment import Estimate
from fabricbo.records import Trial
from fabricbo.report.leaders import Lead
from fabricbo.report.plot import COLOURS, GRID, LABELS, LAYOUT, OTHER, escaped
from fabricbo.report.wording import ERRORS, number_text

_BAND = "rgba(228,87,46,0.18)"


def score_curve(
    trials: Sequence[Trial],
    leads: Sequence[Lead],
    *,
    name: str = "score",
    breaking: Sequence[Trial] = (),
) -> go.Figure:
    """Draw scores and the best so far, both with intervals, and the hand settings as a line.

    Args:
        trials: all of them.
        leads: which of them led when.
        name: what the scores are of.
        breaking: trials that break a bound; they are crosses.
    """
    broken = {trial.index for trial in breaking}
    done = [trial for trial in trials if trial.score is not None]
    figure = go.Figure()
    _add_leads(figure, leads, "best so far, bounds kept" if broken else "best so far")
    for source in dict.fromkeys(trial.source for trial in done):
        _add_points(figure, [trial for trial in done if trial.source == source], broken)
    _add_baseline(figure, done)
    _add_rounds(figure, trials)
    figure.update_layout(**LAYOUT)
    figure.update_xaxes(title="trial", showgrid=False, zeroline=False)
    figure.update_yaxes(title=escaped(name), gridcolor=GRID, zeroline=False)
    return figure


def curve_text(leads: Sequence[Lead], name: str) -> str:
    """Say what the curve shows, for those who do not see it."""
    if not leads:
        return f"{name} by trial; no trial keeps all bounds"
    steps = [lead for lead in leads if lead.at == lead.trial]
    said = ", ".join(f"{number_text(lead.mean)} from trial {lead.trial} on" for lead in steps)
    return f"Best {name} so far: {said}"


def round_curve(trials: Sequence[Trial], leads: Sequence[Lead], *, name: str) -> go.Figure:
    """Draw the best at the end of each round with its interval, and the mean of its trials."""
    rounds = list(dict.fromkeys(trial.round for trial in trials if trial.score is not None))
    ends = {r: max(t.index for t in trials if t.round == r and t.score is not None) for r in rounds}
    led = {r: lead for r in rounds for lead in leads if lead.at == ends[r]}
    means = {
        r: [t.score.mean for t in trials if t.round == r and t.score is not None] for r in rounds
    }
    figure = go.Figure()
    figure.add_scatter(
        x=list(led),
        y=[lead.mean for lead in led.values()],
        error_y={"array": [ERRORS * lead.error for lead in led.values()], "width": 4},
        mode="lines+markers",
        line={"color": COLOURS["bo"], "width": 2},
        marker={"size": 9},
        name="best at its end",
        customdata=[lead.trial for lead in led.values()],
        hovertemplate="round %{x}: trial %{customdata}, %{y:.3f}<extra></extra>",
    )
    figure.add_scatter(
        x=rounds,
        y=[sum(values) / len(values) for values in means.values()],
        mode="lines+markers",
        line={"color": COLOURS["sobol"], "dash": "dot", "width": 1.5},
        marker={"size": 7},
        name="mean of its trials",
        hovertemplate="mean of round %{x}: %{y:.3f}<extra></extra>",
    )
    figure.update_layout(**{**LAYOUT, "height": 280})
    figure.update_xaxes(title="round", showgrid=False, zeroline=False, dtick=1)
    figure.update_yaxes(title=escaped(name), gridcolor=GRID, zeroline=False)
    return figure


def judged_curve(
    trials: Sequence[Trial], utilities: Mapping[int, Estimate], breaking: Sequence[Trial] = ()
) -> go.Figure:
    """Draw how good people find each trial, with intervals; what breaks a bound is a cross."""
    broken, figure = {trial.index for trial in breaking}, go.Figure()
    judged = [trial for trial in trials if trial.index in utilities]
    for source in dict.fromkeys(trial.source for trial in judged):
        here = [trial.index for trial in judged if trial.source == source]
        figure.add_scatter(
            x=here,
            y=[utilities[index].mean for index in here],
            error_y={
                "array": [ERRORS * utilities[index].standard_error for index in here],
                "width": 0,
                "thickness": 1,
            },
            mode="markers",
            marker=_marker(source, here, broken),
            name=LABELS.get(source, escaped(source)),
            customdata=here,
            hovertemplate="trial %{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
        )
    _add_rounds(figure, trials)
    figure.update_layout(**LAYOUT)
    figure.update_xaxes(title="trial", showgrid=False, zeroline=False)
    figure.update_yaxes(title="how good", gridcolor=GRID, zeroline=False)
    return figure


def _add_leads(figure: go.Figure, leads: Sequence[Lead], label: str) -> None:
    """Draw the interval as a band of steps, then the line."""
    across = [lead.at for lead in leads]
    common = {"x": across, "mode": "lines", "hoverinfo": "skip", "legendgroup": "best"}
    flat = {"shape": "hv", "width": 0, "color": COLOURS["bo"]}
    figure.add_scatter(y=[lead.low for lead in leads], line=flat, showlegend=False, **common)
    figure.add_scatter(
        y=[lead.high for lead in leads],
        line=flat,
        fill="tonexty",
        fillcolor=_BAND,
        showlegend=False,
        **common,
    )
    line = {"shape": "hv", "color": COLOURS["bo"], "width": 2}
    figure.add_scatter(y=[lead.mean for lead in leads], line=line, name=label, **common)


def _add_points(figure: go.Figure, trials: Sequence[Trial], broken: Collection[int]) -> None:
    source = trials[0].source
    scores = [trial.score for trial in trials if trial.score is not None]
    errors = [ERRORS * (score.standard_error or 0) for score in scores]
    figure.add_scatter(
        x=[trial.index for trial in trials],
        y=[score.mean for score in scores],
        error_y={"array": errors, "width": 0, "thickness": 1},
        mode="markers",
        marker=_marker(source, [trial.index for trial in trials], broken),
        name=LABELS.get(source, escaped(source)),
        customdata=[trial.index for trial in trials],
        hovertemplate="trial %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
    )


def _marker(source: str, trials: Sequence[int], broken: Collection[int]) -> dict[str, Any]:
    """Return how trials of a source are marked, by index: crosses are those that break a bound."""
    symbols = ["x" if index in broken else "circle" for index in trials]
    return {"size": 9, "color": COLOURS.get(source, OTHER), "symbol": symbols}


def _add_baseline(figure: go.Figure, done: Sequence[Trial]) -> None:
    for trial in done:
        if trial.index == 0 and trial.score is not None:
            line = {"dash": "dot", "color": COLOURS["hand"]}
            figure.add_hline(y=trial.score.mean, line=line)


def _add_rounds(figure: go.Figure, trials: Sequence[Trial]) -> None:
    for index in dict.fromkeys(trial.round for trial in trials):
        here = [trial.index for trial in trials if trial.round == index]
        figure.add_vrect(
            x0=min(here) - 0.5,
            x1=max(here) + 0.5,
            fillcolor="#808890",
            opacity=0.10 if index % 2 else 0.0,
            line_width=0,
            annotation={"text": f"round {index}", "font": {"size": 11}},
            annotation_position="top left",
        )
