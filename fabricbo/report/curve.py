"""The curve of scores by trial, and of the best so far, as a plotly figure."""

from collections.abc import Sequence

import plotly.graph_objects as go

from fabricbo.records import Direction, Trial

COLOURS = {"hand": "#8a8f98", "sobol": "#3f8fd2", "bo": "#e4572e"}
_OTHER = "#9b5de5"
_LABELS = {"hand": "hand settings", "sobol": "Sobol", "bo": "Bayesian optimization"}


def score_curve(trials: Sequence[Trial], direction: Direction) -> go.Figure:
    """Draw scores with one standard error, the best so far, and the hand settings as a line."""
    done = [trial for trial in trials if trial.score is not None]
    figure = go.Figure()
    figure.add_scatter(
        x=[trial.index for trial in done],
        y=_best_so_far(done, direction),
        mode="lines",
        line={"shape": "hv", "color": COLOURS["bo"], "width": 2},
        name="best so far",
    )
    for source in dict.fromkeys(trial.source for trial in done):
        _add_points(figure, source, [trial for trial in done if trial.source == source])
    _add_baseline(figure, done)
    _add_rounds(figure, trials)
    figure.update_layout(**_LAYOUT)
    return figure


def _best_so_far(done: Sequence[Trial], direction: Direction) -> list[float]:
    choose = max if direction == "maximize" else min
    best: list[float] = []
    for trial in done:
        if trial.score is not None:
            best.append(choose(trial.score.mean, best[-1]) if best else trial.score.mean)
    return best


def _add_points(figure: go.Figure, source: str, trials: Sequence[Trial]) -> None:
    scores = [trial.score for trial in trials if trial.score is not None]
    figure.add_scatter(
        x=[trial.index for trial in trials],
        y=[score.mean for score in scores],
        error_y={"array": [score.standard_error or 0 for score in scores], "width": 0},
        mode="markers",
        marker={"size": 9, "color": COLOURS.get(source, _OTHER)},
        name=_LABELS.get(source, source),
        hovertemplate="trial %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
    )


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


# Mid-grey text reads on a light and on a dark page alike.
_LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": "#7d838c", "family": "system-ui, sans-serif"},
    "margin": {"l": 50, "r": 10, "t": 30, "b": 40},
    "height": 380,
    "legend": {"orientation": "h", "y": -0.18},
    "xaxis": {"title": "trial", "showgrid": False, "zeroline": False},
    "yaxis": {"title": "score", "gridcolor": "rgba(128,136,144,0.25)", "zeroline": False},
}
