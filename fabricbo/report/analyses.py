"""Ax's analyses of a study: a page of their own, and a few of them on the study's page."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
import plotly.io
from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from fabricbo.assessment import Analysed
from fabricbo.report.files import write_whole
from fabricbo.report.plot import GRID, LAYOUT, Charts
from fabricbo.report.templates import template
from fabricbo.study import Study

PAGE = "analyses.html"
"""Name of the page in the study's folder."""
KEPT = "analyses.json"
"""Name of what is kept there for the study's page, which is to load no Ax."""
FITTING = ("ArmEffectsPlot", "CrossValidationPlot")
"""Analyses that the study's page shows; why no others, docs/design.md says."""
ROOM = 300_000
"""Characters that they may take there; what is larger is on the page of their own only."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """A result as a template takes it."""

    analysed: Analysed
    figure: Markup | None


@dataclass(frozen=True)
class Analyses:
    """What Ax made of a study."""

    scored: int
    """Trials with scores that it knew."""
    results: tuple[Analysed, ...]
    """What of it the study's page shows."""

    @property
    def size(self) -> int:
        """Characters that the figures take in a page."""
        return sum(len(one.figure or "") for one in self.results)


@dataclass(frozen=True)
class SecondOpinion:
    """What the study's page shows of it."""

    text: str
    results: Sequence[Result]


def write_analyses(study: Study, results: Sequence[Analysed], target: Path | None = None) -> Path:
    """Write the page, by default as `analyses.html` in the study's folder; returns where.

    It appears under its name when it is whole. Nothing in it asks any host for anything. What the
    study's page shows of it is kept beside the study.
    """
    charts = Charts()
    shown = [_result(analysed, charts) for analysed in results]
    kept = _ADAPTER.dump_json(Analyses(_scored(study), _fitting(results)))
    write_whole(study.folder / KEPT, kept.decode())
    text = template("analyses.html.j2").render(settings=study.settings, results=shown)
    return write_whole(target or study.folder / PAGE, text)


def kept_analyses(study: Study) -> Analyses | None:
    """Return what was kept for the study's page; None where nobody asked Ax for it."""
    file = study.folder / KEPT
    try:
        return _ADAPTER.validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:  # a page about a study must not fail because of one file
        logger.warning("%s cannot be read, so the page goes without it: %s", file, error)
        return None


def second_opinion(study: Study, kept: Analyses | None, charts: Charts) -> SecondOpinion | None:
    """Return what the study's page shows of what Ax made of it."""
    if kept is None or not kept.results:
        return None
    now = _scored(study)
    text = "" if now == kept.scored else f"It knew {kept.scored} of the {now} trials with scores."
    return SecondOpinion(text, [_result(one, charts, LAYOUT) for one in kept.results])


def _scored(study: Study) -> int:
    return sum(bool(trial.scores) for trial in study.trials)


def _fitting(results: Sequence[Analysed]) -> tuple[Analysed, ...]:
    """Return what the study's page shows, as far as there is room for it."""
    found, room = [], ROOM
    for one in results:
        size = len(one.figure or "")
        if one.name in FITTING and _is_chart(one) and size <= room:
            room -= size
            found.append(one)
    return tuple(found)


def _is_chart(analysed: Analysed) -> bool:
    """Whether it is a figure, and not a table that plotly draws."""
    if analysed.figure is None:
        return False
    return all(trace.type != "table" for trace in plotly.io.from_json(analysed.figure).data)


def _result(analysed: Analysed, charts: Charts, layout: dict[str, object] | None = None) -> Result:
    if analysed.figure is None:
        return Result(analysed, None)
    figure: go.Figure = plotly.io.from_json(analysed.figure)
    if layout is not None:
        figure.update_layout(**layout, template="none", title=None)
        figure.update_coloraxes(showscale=False)  # it would say the trials' numbers a second time
        figure.update_traces(marker_showscale=False, selector={"type": "scatter"})
        figure.update_xaxes(gridcolor=GRID, automargin=True)
        figure.update_yaxes(gridcolor=GRID)
    return Result(analysed, charts(figure))


_ADAPTER = TypeAdapter(Analyses)
