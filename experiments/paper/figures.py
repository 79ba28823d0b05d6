"""The paper's figures: measures by round, with bootstrap intervals over prompts.

Prompts differ in score by several times what systems do. So that the intervals show what systems
differ by, every prompt's scores are shifted by how much the baseline's mean over its rounds is
above or below that of all prompts, which leaves the curves themselves as they are.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.paper.curves import Outcomes, centred_curve, curve
from experiments.paper.systems import BEST_OF_N, SYSTEMS

PAPER = ("sd", "sd-lora", "fabric", "fabric-lora")
FOUND = ("sd", "fabric", "fabric-found", "fabric-lora", "fabric-lora-found")
RIVALS = ("sd", BEST_OF_N, "fabric", "fabric-found", "fabric-lora", "fabric-lora-found")
WINDOWS = (
    *("fabric", "fabric-liked", "fabric-first-half", "fabric-second-half", "fabric-all-steps"),
)
DROPOUT = ("sd", "fabric", "fabric-dropout")
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
    *((measure, PAPER) for measure in ("score", "score_min", "score_max", "judge")),
    *((measure, PAPER) for measure in ("liked", "disliked", "diversity")),
    ("score", FOUND),
    ("judge", FOUND),
    ("best", RIVALS),
    ("judge_best", RIVALS),
    *((measure, WINDOWS) for measure in ("score", "diversity")),
    *((measure, DROPOUT) for measure in ("score", "diversity")),
)
COLUMNS = 4
BASELINE = "sd"
SIMILARITIES = ("liked", "disliked", "diversity")
NUMBERS = {name: number for number, name in enumerate(SYSTEMS)}


def figure(outcomes: Outcomes, file: Path) -> None:
    """Draw all panels that compare two systems or more, and not what another compares already."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = _panels(outcomes)
    rows = -(-len(panels) // COLUMNS)
    plot, axes = pyplot.subplots(rows, COLUMNS, figsize=(3.5 * COLUMNS, 2.9 * rows), squeeze=False)
    for axis, (measure, systems) in zip(axes.flat, panels, strict=False):
        _draw(axis, outcomes, measure, systems)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    plot.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=90)


def _panels(outcomes: Outcomes) -> list[tuple[str, list[str]]]:
    panels: list[tuple[str, list[str]]] = []
    for measure, systems in PANELS:
        present = [name for name in systems if name in outcomes]
        told = any(measure == m and set(present) <= set(others) for m, others in panels)
        if len(present) > 1 and not told:
            panels.append((measure, present))
    return panels or [(PANELS[0][0], list(outcomes))]


def _draw(axis: Any, outcomes: Outcomes, measure: str, systems: Sequence[str]) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    for number, name in enumerate(systems):
        by_round = (
            curve(outcomes[name], measure)
            if measure in SIMILARITIES
            else centred_curve(outcomes, measure, name, BASELINE)
        )
        found = [(r, i) for r, i in enumerate(by_round, 1) if i is not None]
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
