"""What FABRIC's settings do, drawn by the bundled checkpoint.

    python -m experiments.feedback_pictures            # the pictures of docs/fabric-in-pictures.md
    python -m experiments.feedback_pictures --smoke    # two columns of each, two images a column

A picture varies one thing from column to column and keeps all else, the seeds included. Below
each column stand means over all its images, of which the first four are shown: nothing is picked.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from fabricbo.demo import references_folder
from fabricbo.imagefiles import open_image, pixel_hash
from fabricbo.records import Action, FabricParams, Reference
from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline
from objectives.colour import colourfulness
from objectives.similarity import TargetSimilarity, TextSimilarity

SEEDS = range(5_000_000, 5_000_016)
SHOWN = 4
BASE = FabricParams(guidance_scale=3.0)
"""Hand settings, with the guidance that the checkpoint was tuned with."""
Score = Callable[[Sequence[Image.Image], str], Sequence[float]]


@dataclass(frozen=True)
class Column:
    """A choice, and how it is called."""

    label: str
    action: Action


@dataclass(frozen=True)
class Picture:
    """Columns that differ in one thing."""

    name: str
    """Of the file: `feedback-NAME.png`."""
    prompt: str
    references: tuple[Reference, ...]
    """Shown on the left."""
    columns: tuple[Column, ...]
    scores: tuple[tuple[str, Score], ...]
    """What is told below each column."""


def reference(name: str) -> Reference:
    """Return a bundled picture, `concept-style-background`."""
    image = open_image(references_folder() / f"{name}.png")
    return Reference(pixel_hash(image), name, image)


def pictures() -> list[Picture]:
    """Return all that is drawn."""
    sketches = (reference("rabbit-sketch-pink"), reference("donut-sketch-orange"))
    return [_weights(sketches), _windows(sketches), _verdicts(), _overrated()]


def _weights(liked: tuple[Reference, ...]) -> Picture:
    weights = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0)
    columns = [Column(f"weight {w:g}", Action(replace(BASE, max_weight=w), liked)) for w in weights]
    return Picture("weight", "a dog", liked, tuple(columns), _alike(liked))


def _windows(liked: tuple[Reference, ...]) -> Picture:
    windows = ((0, 0.1), (0, 0.25), (0, 0.5), (0, 1), (0.25, 1), (0.5, 1), (0.75, 1))
    columns = [
        Column(
            f"{start:g} to {end:g}",
            Action(replace(BASE, feedback_start=start, feedback_end=end), liked),
        )
        for start, end in windows
    ]
    return Picture("window", "a dog", liked, tuple(columns), _alike(liked))


def _verdicts() -> Picture:
    gold, sketch = reference("panda-gold-green"), reference("rabbit-sketch-pink")
    strong = replace(BASE, neg_scale=1.0)
    columns = (
        Column("neither", Action(BASE)),
        Column("gold liked", Action(strong, (gold,))),
        Column("gold disliked", Action(strong, (), (gold,))),
        Column("sketch liked", Action(strong, (sketch,))),
        Column("sketch disliked", Action(strong, (), (sketch,))),
        Column("gold liked,\nsketch disliked", Action(strong, (gold,), (sketch,))),
        Column("both liked", Action(strong, (gold, sketch))),
    )
    scores = (("like the gold one", _to(gold)), ("like the sketch", _to(sketch)))
    return Picture("verdict", "a dog", (gold, sketch), columns, scores)


def _overrated() -> Picture:
    scales = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
    liked = (reference("penguin-sticker-orange"),)
    columns = [
        Column(f"guidance {g:g}", Action(replace(BASE, guidance_scale=g), liked)) for g in scales
    ]
    scores = (("colourfulness", colourfulness), ("as the prompt says", TextSimilarity()))
    return Picture("overrated", "a dog", liked, tuple(columns), scores)


def _alike(liked: tuple[Reference, ...]) -> tuple[tuple[str, Score], ...]:
    def mean(images: Sequence[Image.Image], prompt: str) -> list[float]:
        each = [_to(one)(images, prompt) for one in liked]
        return [sum(values) / len(values) for values in zip(*each, strict=True)]

    return (("like the liked", mean), ("as the prompt says", TextSimilarity()))


def _to(target: Reference) -> Score:
    return TargetSimilarity(str(references_folder() / f"{target.name}.png"))


def draw(picture: Picture, sampler: FabricSampler, seeds: Sequence[int], file: Path) -> None:
    """Draw a picture to a file; print what stands below its columns."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = min(SHOWN, len(seeds))
    size = (len(picture.columns) + 1, rows)
    plot, axes = pyplot.subplots(rows, size[0], figsize=(1.25 * size[0], 1.22 * rows + 0.75))
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, shown in zip(axes[:, 0], picture.references, strict=False):
        axis.imshow(shown.image, interpolation="nearest")
    axes[0, 0].set_title("references", fontsize=8)
    for place, column in enumerate(picture.columns, start=1):
        images = sampler(column.action, picture.prompt, seeds)
        for axis, image in zip(axes[:, place], images, strict=False):
            axis.imshow(image, interpolation="nearest")
        axes[0, place].set_title(column.label, fontsize=8)
        told = {name: _mean(score(images, picture.prompt)) for name, score in picture.scores}
        print(json.dumps({"picture": picture.name, "column": column.label, **told}), flush=True)
        axes[-1, place].text(
            *(0.5, -0.08, "\n".join(f"{value:.3g}" for value in told.values())),
            transform=axes[-1, place].transAxes,
            ha="center",
            va="top",
            fontsize=8,
        )
    axes[-1, 0].text(
        *(1.0, -0.08, "\n".join(name for name, _ in picture.scores)),
        transform=axes[-1, 0].transAxes,
        ha="right",
        va="top",
        fontsize=8,
    )
    plot.subplots_adjust(0.03, 0.5 / (1.22 * rows + 0.75), 0.995, 0.93, 0.04, 0.04)
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=110)
    pyplot.close(plot)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)


def _little(picture: Picture) -> Picture:
    """Return two columns of it, in few denoising steps."""
    actions = [
        replace(c.action, params=replace(c.action.params, denoising_steps=4))
        for c in picture.columns[:2]
    ]
    columns = (replace(c, action=a) for c, a in zip(picture.columns, actions, strict=False))
    return replace(picture, columns=tuple(columns))


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--figures", type=Path, default=Path("docs/images"), help="a folder")
    parser.add_argument("--smoke", action="store_true", help="little of each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sampler = FabricSampler(load_pipeline(Checkpoint("demo", device="cpu")))
    for picture in pictures():
        seeds: Sequence[int] = SEEDS
        if options.smoke:
            picture, seeds = _little(picture), SEEDS[:2]
        draw(picture, sampler, seeds, options.figures / f"feedback-{picture.name}.png")


if __name__ == "__main__":
    main()
