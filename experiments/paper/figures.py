"""The paper's figures: measures by round, with bootstrap intervals over prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.paper.curves import Outcomes, curve
from experiments.paper.systems import BEST_OF_N, SYSTEMS

PAPER = ("sd", "sd-lora", "fabric", "fabric-lora")
FOUND = ("sd", "fabric", "fabric-found", "fabric-lora", "fabric-lora-found")
ABLATIONS = (
    *("fabric", "fabric-liked", "fabric-first-half", "fabric-second-half", "fabric-all-steps"),
    "fabric-dropout",
)
LABELS = {
    "score": "score, mean of the round",
    "score_min": "score, worst of the round",
    "score_max": "score, best of the round",
    "best": "score of the best so far",
    "liked": "similarity to liked",
    "disliked": "similarity to disliked",
    "diversity": "diversity",
    "judge": "judge, mean of the round",
    "judge_best": "judge of the best so far",
}
PANELS: tuple[tuple[str, Sequence[str]], ...] = (
    ("score", PAPER),
    ("score_min", PAPER),
    ("score_max", PAPER),
    ("judge", PAPER),
    ("liked", PAPER),
    ("disliked", PAPER),
    ("diversity", PAPER),
    ("score", FOUND),
    ("score", ABLATIONS),
    ("diversity", ABLATIONS),
    ("best", ("sd", BEST_OF_N, "fabric", "fabric-found", "fabric-lora", "fabric-lora-found")),
    ("judge_best", ("sd", BEST_OF_N, "fabric", "fabric-found", "fabric-lora", "fabric-lora-found")),
)
COLUMNS = 4
NUMBERS = {name: number for number, name in enumerate(SYSTEMS)}


def figure(outcomes: Outcomes, file: Path) -> None:
    """Draw all panels for which there are systems."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = -(-len(PANELS) // COLUMNS)
    plot, axes = pyplot.subplots(rows, COLUMNS, figsize=(3.5 * COLUMNS, 2.9 * rows), squeeze=False)
    for axis, (measure, systems) in zip(axes.flat, PANELS, strict=False):
        _draw(axis, outcomes, measure, [name for name in systems if name in outcomes])
    for axis in axes.flat[len(PANELS) :]:
        axis.set_axis_off()
    plot.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=90)


def _draw(axis: Any, outcomes: Outcomes, measure: str, systems: Sequence[str]) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    for number, name in enumerate(systems):
        found = [(r, i) for r, i in enumerate(curve(outcomes[name], measure), 1) if i is not None]
        if not found:
            continue
        # Side by side, so that intervals do not hide each other.
        at = [r + 0.05 * (number - (len(systems) - 1) / 2) for r, _ in found]
        below, above = [i.mean - i.low for _, i in found], [i.high - i.mean for _, i in found]
        axis.errorbar(
            at,
            [i.mean for _, i in found],
            yerr=(below, above),
            color=colormaps["tab20"](NUMBERS[name] * 2 % 20 + (NUMBERS[name] >= 10)),
            marker="o",
            markersize=3,
            linewidth=1,
            label=SYSTEMS[name].title,
        )
    rounds = max((len(outcomes[name][0].rounds) for name in systems), default=1)
    axis.set_xlim(0.7, rounds + 0.3)
    axis.set_title(LABELS[measure], fontsize=9)
    axis.set_xlabel("round", fontsize=8)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.tick_params(labelsize=7)
    if axis.lines:
        axis.legend(fontsize=5.5, framealpha=0.6)
