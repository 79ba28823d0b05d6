"""Scans over feedback weight and end of the window, resumable, and their heat maps."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from experiments.evaluate_demo import PARAMS
from fabricbo.records import FabricParams

WEIGHTS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5)
ENDS = (0.1, 0.25, 0.5, 0.75, 1.0)
HAND = FabricParams()

Grid = dict[tuple[float, float], dict[str, float]]
"""Measured values by weight and end."""


def scan(
    file: Path, name: str, measure: Callable[[FabricParams], Mapping[str, float]], *, smoke: bool
) -> Grid:
    """Measure at every weight and end; points that the file has are not measured again.

    Args:
        file: JSON; written anew after each point, so that little is lost.
        name: of the scan, within the file.
        measure: parameters to values by name.
        smoke: whether two points are enough.
    """
    points = list(product(WEIGHTS, ENDS))[:: 17 if smoke else 1]
    grid = {}
    for weight, end in points:
        known = json.loads(file.read_text()) if file.exists() else {}
        key = f"{name}, weight {weight:g}, end {end:g}"
        if key not in known:
            params = replace(PARAMS, max_weight=weight, feedback_end=end)
            known[key] = dict(measure(params))
            _write(file, known)
            print(key, {k: round(v, 3) for k, v in known[key].items()}, flush=True)
        grid[weight, end] = known[key]
    return grid


def _write(file: Path, known: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(known, indent=1))
    part.replace(file)


def draw(axis: Any, grid: Grid, value: str, title: str, limits: tuple[float, float] | None) -> None:
    """Draw one heat map; a circle tells where the hand settings are, a star the largest value."""
    weights, ends = (sorted({point[i] for point in grid}) for i in (0, 1))
    cells = [[grid[w, e][value] if (w, e) in grid else float("nan") for w in weights] for e in ends]
    low, high = limits or (None, None)
    axis.imshow(cells, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
    for row, column in product(range(len(ends)), range(len(weights))):
        axis.text(
            column,
            row,
            f"{cells[row][column]:.2f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white",
            bbox={"facecolor": "#0008", "edgecolor": "none", "pad": 1},
        )
    axis.plot(
        position(weights, HAND.max_weight),
        position(ends, HAND.feedback_end),
        "o",
        markersize=17,
        markerfacecolor="none",
        markeredgecolor="#ff5c39",
        markeredgewidth=2,
    )
    best = max(grid, key=lambda point: grid[point][value])
    axis.plot(weights.index(best[0]), ends.index(best[1]) + 0.34, "*", color="white", markersize=8)
    axis.set_xticks(range(len(weights)), [f"{w:g}" for w in weights])
    axis.set_yticks(range(len(ends)), [f"{e:g}" for e in ends])
    axis.set_title(title, fontsize=9)


def position(values: Sequence[float], value: float) -> float:
    """Return where a value lies among the cells of sorted values, between two of them."""
    for index, (low, high) in enumerate(pairwise(values)):
        if low <= value <= high:
            return index + (value - low) / (high - low)
    return 0.0 if value < values[0] else len(values) - 1.0
