"""Ax's analyses of a study as a page of their own, beside the study's page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.io
from markupsafe import Markup

from fabricbo.assessment import Analysed
from fabricbo.report.files import write_whole
from fabricbo.report.plot import figure_html
from fabricbo.report.templates import template
from fabricbo.study import Study

PAGE = "analyses.html"
"""Name of the page in the study's folder."""


@dataclass(frozen=True)
class Result:
    """A result as the template takes it."""

    analysed: Analysed
    figure: Markup | None


def write_analyses(study: Study, results: Sequence[Analysed], target: Path | None = None) -> Path:
    """Write the page, by default as `analyses.html` in the study's folder; returns where.

    It appears under its name when it is whole. Nothing in it asks any host for anything.
    """
    script = True  # plotly itself goes with the first figure only
    shown = []
    for analysed in results:
        figure = None
        if analysed.figure is not None:
            figure = figure_html(plotly.io.from_json(analysed.figure), with_script=script)
            script = False
        shown.append(Result(analysed, figure))
    text = template("analyses.html.j2").render(settings=study.settings, results=shown)
    return write_whole(target or study.folder / PAGE, text)
