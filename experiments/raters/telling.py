"""What runs of simulated people say, as a table, in sentences, and as a figure."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.raters.runs import Run

LEVELS = (0.5, 0.25)
"""Regrets whose first judgement is told."""
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
        cells = [_mean([run.regret(at) for run in some]) for at in (budget // 2, budget)]
        cells += [f"{_to_level(some, level):g}" for level in LEVELS]
        trials = statistics.median(run.points[-1].trials for run in some)
        lines.append(f"| {world} | {person} | {way} | {' | '.join(cells)} | {trials:g} |")
    return "\n".join(lines)


def saved(runs: Sequence[Run]) -> Iterator[str]:
    """Say how many judgements ours needs less than each other way, over all worlds."""
    groups = _grouped(runs)
    for other in dict.fromkeys(run.way for run in runs):
        for level in LEVELS:
            pairs = [
                (_to_level(some, level), _to_level(groups[world, person, other], level))
                for (world, person, way), some in groups.items()
                if way == OURS and (world, person, other) in groups
            ]
            if other == OURS or not pairs:
                continue
            shares = ", ".join(f"{mine:g} against {theirs:g}" for mine, theirs in pairs)
            yield f"to regret {level:g}, {OURS} against {other}: {shares}"


def figure(runs: Sequence[Run], file: Path) -> None:
    """Draw mean regret by judgements, a panel for each world and person."""
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
                means = [
                    statistics.mean(run.regret(judgements) for run in some) for judgements in at
                ]
                axis.plot(at, means, color=f"C{number}", label=way)
        axis.set_title(f"{world}, {person}", fontsize=9)
        axis.set_xlabel("judgements")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    axes[0, 0].set_ylabel("way to the best still to go")
    axes[0, 0].legend(fontsize=7)
    plot.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=110)


def _grouped(runs: Sequence[Run]) -> dict[tuple[str, str, str], list[Run]]:
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.world, run.person, run.way), []).append(run)
    return groups


def _looks(runs: Sequence[Run]) -> list[int]:
    return sorted({0, *(point.judgements for run in runs for point in run.points)})


def _to_level(runs: Sequence[Run], level: float) -> float:
    """Return the judgements from which on the mean regret of runs is at most a level."""
    looks = _looks(runs)
    means = [statistics.mean(run.regret(at) for run in runs) for at in looks]
    first = next((i for i in range(len(looks)) if max(means[i:]) <= level), None)
    return float("inf") if first is None else looks[first]


def _mean(values: Sequence[float]) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {error:.2f}"
