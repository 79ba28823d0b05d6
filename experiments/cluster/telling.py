"""What the grid came to: a table, and a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.cluster.cell import Cell, Found

Grid = Mapping[Cell, Found]
_NAMES = {"fabricbo": "surrogate", "sqlite": "SQLite", "postgres": "PostgreSQL", "sobol": "Sobol"}
_HEAD = (
    "proposer",
    "database",
    "workers",
    "s a trial",
    "trials/s",
    "of what they could",
    "idle",
    "a suggestion, s (95 %)",
    "store, ms a trial",
    "memory, MB",
    "limit",
)


def table(grid: Grid) -> str:
    """Return the cells as a table in Markdown."""
    lines = [_row(_HEAD), _row(["---"] * len(_HEAD))]
    return "\n".join([*lines, *(_row(_told(cell, found)) for cell, found in grid.items())])


def overview(grid: Grid) -> str:
    """Return trials a second and idle time, a row for each load: the table of docs/scaling.md."""
    simulated = {cell: found for cell, found in grid.items() if cell.clock == "simulated"}
    loads = dict.fromkeys((cell.seconds, cell.workers) for cell in simulated)
    kinds = dict.fromkeys((cell.proposer, cell.database) for cell in simulated)
    names = [f"{_NAMES.get(p, p)}, {_NAMES.get(d, d)}" for p, d in kinds]
    lines = [_row(["workers", "seconds a trial", "workers alone", *names])]
    lines.append("|" + "---|" * (3 + len(names)))
    by_place = {(c.seconds, c.workers, c.proposer, c.database): f for c, f in simulated.items()}
    for seconds, workers in loads:
        found = [by_place.get((seconds, workers, *kind)) for kind in kinds]
        told = ["-" if f is None else f"{f.trials_a_second:.2f} ({_share(f.idle)})" for f in found]
        lines.append(_row([f"{workers}", f"{seconds:g}", f"{workers / seconds:.1f}", *told]))
    return "\n".join(lines)


def _share(idle: float) -> str:
    return f"{100 * max(0.0, idle):.0f} %"


def _row(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"


def _told(cell: Cell, found: Found) -> list[str]:
    clock = "" if cell.clock == "simulated" else f", {cell.clock}"
    possible = cell.workers / cell.seconds
    return [
        cell.proposer,
        f"{cell.database}{clock}",
        f"{cell.workers}",
        f"{cell.seconds:g}",
        f"{found.trials_a_second:.2f}",
        f"{100 * found.trials_a_second / possible:.0f} %",
        _share(found.idle),
        f"{_number(found.suggestion_median)} ({_number(found.suggestion_p95)})",
        _number(found.store_seconds, 1000, 0),
        f"{found.peak_mb:.0f}",
        found.limit,
    ]


def _number(value: float | None, factor: float = 1, digits: int = 2) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"


def figure(grid: Grid, file: Path) -> None:
    """Draw trials a second by workers, a panel for each time that a trial takes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    times = sorted({cell.seconds for cell in grid})
    plot, axes = pyplot.subplots(1, len(times), figsize=(3.7 * len(times), 3.2), squeeze=False)
    for axis, seconds in zip(axes.flat, times, strict=True):
        _panel(axis, {c: f for c, f in grid.items() if c.seconds == seconds}, seconds)
    axes[0, 0].set_ylabel("trials a second")
    axes[0, 0].legend(fontsize=7)
    plot.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=110)


def _panel(axis: Any, grid: Grid, seconds: float) -> None:
    counts = sorted({cell.workers for cell in grid})
    axis.plot(counts, [n / seconds for n in counts], "--", color="0.6", label="workers alone")
    for number, kind in enumerate(dict.fromkeys((c.proposer, c.database) for c in grid)):
        own = [(c, f) for c, f in grid.items() if (c.proposer, c.database) == kind]
        simulated = sorted((c.workers, f.trials_a_second) for c, f in own if c.clock == "simulated")
        asleep = [(c.workers, f.trials_a_second) for c, f in own if c.clock == "asleep"]
        if simulated:
            axis.plot(
                *zip(*simulated, strict=True), "o-", color=f"C{number}", label=", ".join(kind)
            )
        if asleep:
            axis.plot(*zip(*asleep, strict=True), "kx", label="threads that sleep")
    axis.set_title(f"{seconds:g} s a trial", fontsize=9)
    axis.set_xlabel("workers")
    axis.set_xscale("log", base=2)
    axis.set_xticks(counts, [f"{count}" for count in counts])
    axis.set_yscale("log")
