"""What runs of simulated people say, as a table, in sentences, and as a figure."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.raters.runs import Run

LEVELS = (0.5, 0.25)
"""Regrets of which is told how many judgements they take."""
OURS = "fabricbo"


def table(runs: Sequence[Run]) -> str:
    """Write a row for each world, person and way."""
    heads = [f"judgements to {level:g}" for level in LEVELS]
    lines = [
        f"| world | people | way | regret at half | at the end | {' | '.join(heads)} | trials |",
        "|---" * (6 + len(heads)) + "|",
    ]
    for (world, person, way), some in _grouped(runs).items():
        budget = some[0].budget
        cells = [_median([run.regret(at) for run in some]) for at in (budget // 2, budget)]
        cells += [f"{_judgements_to(some, level):g}" for level in LEVELS]
        trials = statistics.median(run.points[-1].trials for run in some)
        lines.append(f"| {world} | {person} | {way} | {' | '.join(cells)} | {trials:g} |")
    return "\n".join(lines)


def saved(runs: Sequence[Run]) -> Iterator[str]:
    """Say how many judgements ours needs to where each other way is with all of them."""
    groups = _grouped(runs)
    for other in dict.fromkeys(run.way for run in runs if run.way != OURS):
        told, both = [], ([], [])
        for (world, person, way), some in groups.items():
            if way == OURS and (theirs := groups.get((world, person, other))):
                told.append(f"{world}, {person}: {_judgements_to(some, _at_end(theirs)):g}")
                both[0].extend(some)
                both[1].extend(theirs)
        if told:
            budget, level = runs[0].budget, _at_end(both[1])
            needed = _judgements_to(both[0], level)
            yield (
                f"where {other} is after {budget}, {OURS} is after {needed:g} "
                f"(median regret {level:.2f} over all; {'; '.join(told)})"
            )


def _at_end(runs: Sequence[Run]) -> float:
    return statistics.median(run.regret(run.budget) for run in runs)


def figure(runs: Sequence[Run], file: Path) -> None:
    """Draw median regret by judgements, a panel for each world and person."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = _grouped(runs)
    panels = list(dict.fromkeys((world, person) for world, person, _ in groups))
    ways = list(dict.fromkeys(run.way for run in runs))
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    plot, axes = pyplot.subplots(
        rows, columns, figsize=(3.6 * columns, 2.8 * rows), squeeze=False, sharey=True
    )
    for axis, (world, person) in zip(axes.flat, panels, strict=False):
        for number, way in enumerate(ways):
            some = groups.get((world, person, way), [])
            if some:
                at = _looks(some)
                medians = [
                    statistics.median(run.regret(judgements) for run in some) for judgements in at
                ]
                axis.plot(at, medians, color=f"C{number}", label=way)
        axis.set_title(f"{world}, {person}", fontsize=9)
        axis.set_xlabel("judgements")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    axes[0, 0].set_ylabel("way to the best still to go")
    plot.tight_layout(rect=(0, 0.06, 1, 1))
    lines = {line.get_label(): line for axis in axes.flat for line in axis.get_lines()}
    plot.legend(lines.values(), lines.keys(), loc="lower center", ncol=len(lines), fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=110)


def _grouped(runs: Sequence[Run]) -> dict[tuple[str, str, str], list[Run]]:
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.world, run.person, run.way), []).append(run)
    return groups


def _looks(runs: Sequence[Run]) -> list[int]:
    return sorted({0, *(point.judgements for run in runs for point in run.points)})


def _judgements_to(runs: Sequence[Run], level: float) -> float:
    """Return the judgements from which on the median regret of runs is at most a level."""
    looks = _looks(runs)
    medians = [statistics.median(run.regret(at) for run in runs) for at in looks]
    first = next((i for i in range(len(looks)) if max(medians[i:]) <= level), None)
    return float("inf") if first is None else looks[first]


def _median(values: Sequence[float]) -> str:
    """Write the median and the quartiles around it."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
