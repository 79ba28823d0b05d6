"""What all plotly figures of the page share: colours, layout, and how they become HTML."""

import html

import plotly.graph_objects as go
from markupsafe import Markup

COLOURS = {"hand": "#8a8f98", "sobol": "#3f8fd2", "bo": "#e4572e"}
OTHER = "#9b5de5"
LABELS = {
    "hand": "hand settings",
    "sobol": "Sobol",
    "bo": "Bayesian optimization",
    "bo-again": "drawn again",
}
TEXT = "#7d838c"
"""Mid-grey reads on a light and on a dark page alike."""
GRID = "rgba(128,136,144,0.25)"

LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": TEXT, "family": "system-ui, sans-serif"},
    "margin": {"l": 50, "r": 10, "t": 30, "b": 40},
    "height": 380,
    # At the lower edge, whatever the height and however many lines it takes on a phone.
    "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
}

_CONFIG = {"displaylogo": False, "responsive": True, "displayModeBar": False}


def figure_html(figure: go.Figure, *, with_script: bool = False) -> Markup:
    """Return a figure as HTML, which is our own dependency's and not somebody's text.

    Args:
        with_script: whether it brings plotly's own script, 4 MiB; the page needs that once, in
            its first figure.
    """
    text = figure.to_html(full_html=False, include_plotlyjs=with_script, config=_CONFIG)
    return Markup(text)


def escaped(text: str) -> str:
    """Return text of others so that plotly shows it as it stands, instead of as markup."""
    return html.escape(text, quote=False)


class Charts:
    """Turns figures into HTML; plotly's own script goes with the first of them."""

    def __init__(self) -> None:
        self._any = False

    def __call__(self, figure: go.Figure) -> Markup:
        """Return a figure as HTML."""
        first, self._any = not self._any, True
        return figure_html(figure, with_script=first)
