"""Flowcharts drawn as SVG: layers, few crossings, no script.

The method is Sugiyama's: nodes in layers, an arrow over several layers bends in each, layers are
sorted by the mean place of their neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from docsite.flowchart import Edge, Flowchart, parse

_CHARACTER, _PAD, _HEIGHT = 7.6, 22.0, 30.0
_BEND, _GAP, _LAYER = 10.0, 16.0, 68.0
_SWEEPS = 24


@dataclass(frozen=True)
class _Layout:
    """Where things are, along layers and across them."""

    chart: Flowchart
    places: Mapping[str, tuple[float, float]]
    paths: Mapping[Edge, tuple[str, ...]]
    """The nodes and bends that an edge goes through."""


def fence(source: str, *_: Any, **__: Any) -> str:
    """Draw a block of Markdown; the signature is that of pymdownx.superfences."""
    return draw(parse(source))


def draw(chart: Flowchart) -> str:
    """Return a figure with an SVG, its arrows told in its text alternative."""
    layout = _arranged(chart)
    width, height = _extent(layout)
    told = ", ".join(f"{chart.labels[e.start]} to {chart.labels[e.end]}" for e in chart.edges)
    parts = [_edge(edge, layout) for edge in chart.edges]
    parts += [_node(name, layout) for name in chart.labels]
    return (
        f'<figure class="diagram"><svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'style="max-width:{width:.0f}px" aria-label="Arrows: {escape(told)}">'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
        f"{''.join(parts)}</svg></figure>"
    )


def _arranged(chart: Flowchart) -> _Layout:
    depth = _depths(chart)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in chart.labels:
        layers[depth[name]].append(name)
    paths: dict[Edge, tuple[str, ...]] = {}
    for number, edge in enumerate(chart.edges):
        bends = []
        for layer in range(depth[edge.start] + 1, depth[edge.end]):
            bends.append(f"{number}/{layer}")
            layers[layer].append(bends[-1])
        paths[edge] = (edge.start, *bends, edge.end)
    neighbours: dict[str, list[str]] = {name: [] for layer in layers for name in layer}
    for path in paths.values():
        for one, other in pairwise(path):
            neighbours[one].append(other)
            neighbours[other].append(one)
    across = _spread(chart, layers, neighbours)
    at = {name: number for number, layer in enumerate(layers) for name in layer}
    along = _along(chart, layers)
    return _Layout(chart, {n: (across[n], along[at[n]]) for n in at}, paths)


def _along(chart: Flowchart, layers: Sequence[Sequence[str]]) -> list[float]:
    """The middle of each layer, in the direction of the arrows."""
    if chart.downwards:
        return [_HEIGHT / 2 + number * _LAYER for number in range(len(layers))]
    room = max((len(edge.text) for edge in chart.edges), default=0) * _CHARACTER + 20
    middles, right = [], -room
    for layer in layers:
        widest = max(_width(name, chart) for name in layer if name in chart.labels)
        middles.append(right + room + widest / 2)
        right += room + widest
    return middles


def _depths(chart: Flowchart) -> dict[str, int]:
    """The layer of each node: as near to what it points at as can be."""
    ends = {name: [e.end for e in chart.edges if e.start == name] for name in chart.labels}
    height: dict[str, int] = {}

    def tall(name: str) -> int:
        if name not in height:
            height[name] = 1 + max((tall(end) for end in ends[name]), default=-1)
        return height[name]

    top = max(tall(name) for name in chart.labels)
    return {name: top - height[name] for name in chart.labels}


def _spread(
    chart: Flowchart, layers: Sequence[list[str]], neighbours: Mapping[str, list[str]]
) -> dict[str, float]:
    """Sort layers and place what is in them; return the middle of each node and bend."""
    across = {name: 60.0 * place for layer in layers for place, name in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 else layers[::-1]:
            wanted = {
                name: sum(across[n] for n in neighbours[name]) / max(1, len(neighbours[name]))
                for name in layer
            }
            if sweep < _SWEEPS // 2:
                layer.sort(key=wanted.__getitem__)
            across |= _apart(layer, wanted, chart)
    least = min(across[n] - _size(n, chart) / 2 for n in across)
    return {name: at - least for name, at in across.items()}


def _apart(layer: Sequence[str], wanted: Mapping[str, float], chart: Flowchart) -> dict[str, float]:
    """Keep order and distances, as near as can be to what is wanted."""
    right: dict[str, float] = {}
    left: dict[str, float] = {}
    for name, before in zip(layer, [None, *layer], strict=False):
        least = right[before] + _distance(before, name, chart) if before else -1e9
        right[name] = max(wanted[name], least)
    for name, after in zip(reversed(layer), [None, *reversed(layer)], strict=False):
        most = left[after] - _distance(name, after, chart) if after else 1e9
        left[name] = min(wanted[name], most)
    return {name: (right[name] + left[name]) / 2 for name in layer}


def _distance(one: str, other: str, chart: Flowchart) -> float:
    return (_size(one, chart) + _size(other, chart)) / 2 + _GAP


def _size(name: str, chart: Flowchart) -> float:
    """How much room a node or a bend takes in its layer."""
    if name not in chart.labels:
        return _BEND
    return _width(name, chart) if chart.downwards else _HEIGHT


def _width(name: str, chart: Flowchart) -> float:
    return len(chart.labels[name]) * _CHARACTER + _PAD


def _centre(name: str, layout: _Layout) -> tuple[float, float]:
    across, along = layout.places[name]
    return (across + 4, along + 4) if layout.chart.downwards else (along + 4, across + 4)


def _extent(layout: _Layout) -> tuple[float, float]:
    centres = {name: _centre(name, layout) for name in layout.chart.labels}
    width = max(x + _width(name, layout.chart) / 2 for name, (x, _) in centres.items())
    bends = max(_centre(name, layout)[0] for name in layout.places)
    return max(width, bends) + 4, max(y for _, y in centres.values()) + _HEIGHT / 2 + 8


def _node(name: str, layout: _Layout) -> str:
    x, y = _centre(name, layout)
    width = _width(name, layout.chart)
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{width:.1f}" '
        f'height="{_HEIGHT:.0f}" rx="5"/>'
        f'<text x="{x:.1f}" y="{y:.1f}">{escape(layout.chart.labels[name])}</text>'
    )


def _edge(edge: Edge, layout: _Layout) -> str:
    down = layout.chart.downwards
    points = [_centre(name, layout) for name in layout.paths[edge]]
    inset = (0.0, _HEIGHT / 2) if down else (_width(edge.start, layout.chart) / 2, 0.0)
    points[0] = points[0][0] + inset[0], points[0][1] + inset[1]
    inset = (0.0, _HEIGHT / 2) if down else (_width(edge.end, layout.chart) / 2, 0.0)
    points[-1] = points[-1][0] - inset[0], points[-1][1] - inset[1]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        half = (to_y - y) / 2 if down else (to_x - x) / 2
        bent = (x, y + half, to_x, to_y - half) if down else (x + half, y, to_x - half, to_y)
        path += "C" + " ".join(f"{number:.1f}" for number in (*bent, to_x, to_y))
    return f'<path class="edge" d="{path}" marker-end="url(#head)"/>{_said(edge.text, points)}'


def _said(text: str, points: Sequence[tuple[float, float]]) -> str:
    """The text of an edge, near its end, where it is apart from others of the same start."""
    if not text:
        return ""
    (x, y), (to_x, to_y) = points[-2:]
    return (
        f'<text class="said" x="{x + 0.6 * (to_x - x):.1f}" y="{y + 0.8 * (to_y - y) - 9:.1f}">'
        f"{escape(text)}</text>"
    )
