"""The curve of scores by trial, and of the best so far, as a plotly figure."""

from collections.abc import Collection, Sequence

import plotly.graph_objects as go

from fabricbo.records import Trial
from fabricbo.report.plot import COLOURS, GRID, LABELS, LAYOUT, OTHER, escaped
from fabricbo.scores import Direction


def score_curve(
    trials: Sequence[Trial],
    direction: Direction,
    *,
    name: str = "score",
    breaking: Sequence[Trial] = (),
) -> go.Figure:
    """Draw scores with one standard error, the best so far, and the hand settings as a line.

    Args:
        name: what the scores are of.
        breaking: trials that break a bound; they are crosses, and never the best.
    """
    broken = {trial.index for trial in breaking}
    done = [trial for trial in trials if trial.score is not None]
    figure = go.Figure()
    figure.add_scatter(
        x=[trial.index for trial in done],
        y=_best_so_far(done, direction, broken),
        mode="lines",
        line={"shape": "hv", "color": COLOURS["bo"], "width": 2},
        name="best so far, bounds kept" if broken else "best so far",
    )
    for source in dict.fromkeys(trial.source for trial in done):
        _add_points(figure, [trial for trial in done if trial.source == source], broken)
    _add_baseline(figure, done)
    _add_rounds(figure, trials)
    figure.update_layout(**LAYOUT)
    figure.update_xaxes(title="trial", showgrid=False, zeroline=False)
    figure.update_yaxes(title=escaped(name), gridcolor=GRID, zeroline=False)
    return figure


def _best_so_far(
    done: Sequence[Trial], direction: Direction, broken: Collection[int]
) -> list[float | None]:
    """Return the best score up to each trial; None before one keeps the bounds."""
    choose = max if direction == "maximize" else min
    best: list[float | None] = []
    for trial in done:
        last = best[-1] if best else None
        if trial.score is None or trial.index in broken:
            best.append(last)
        else:
            best.append(trial.score.mean if last is None else choose(trial.score.mean, last))
    return best


def _add_points(figure: go.Figure, trials: Sequence[Trial], broken: Collection[int]) -> None:
    source = trials[0].source
    scores = [trial.score for trial in trials if trial.score is not None]
    figure.add_scatter(
        x=[trial.index for trial in trials],
        y=[score.mean for score in scores],
        error_y={"array": [score.standard_error or 0 for score in scores], "width": 0},
        mode="markers",
        marker={
            "size": 9,
            "color": COLOURS.get(source, OTHER),
            "symbol": ["x" if trial.index in broken else "circle" for trial in trials],
        },
        name=LABELS.get(source, escaped(source)),
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
