"""What the sampler's shortcuts cost in quality and save in time and memory, by the demo checkpoint.

    python -m experiments.price_of_shortcuts            # a few minutes
    python -m experiments.price_of_shortcuts --smoke    # two images each, of few steps

Two liked references and a prompt that names another object, the hand settings otherwise, the same
seeds for all. `alike` is the mean similarity to the references with its standard error, `differs`
the mean difference from the usual feedback's pixels (levels of 255). Half of the images are drawn
when the references are new (`cold`), half when they are known (`warm`): processor seconds an image.
`MB` is what the cache holds then.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from PIL import Image

from experiments.feedback_pictures import BASE, reference
from fabricbo.demo import references_folder
from fabricbo.records import Action
from fabricbo.sampler import Checkpoint, FabricSampler, SamplerOptions, load_pipeline
from objectives.similarity import TargetSimilarity

REFERENCES = ("rabbit-sketch-pink", "donut-sketch-orange")
PROMPT = "a dog"
FIRST_SEED = 6_000_000
SHORTCUTS: Mapping[str, Mapping[str, Any]] = {
    "usual": {},
    "no feedback": {"feedback": False},
    "lean": {"lean": True},
    "reference_stride 2": {"reference_stride": 2},
    "reference_stride 4": {"reference_stride": 4},
    "merge_tokens 0.25": {"merge_tokens": 0.25},
    "merge_tokens 0.5": {"merge_tokens": 0.5},
    "feedback_levels 0": {"feedback_levels": (0,)},
    "feedback_levels 1": {"feedback_levels": (1,)},
    "feedback_levels 0, 1": {"feedback_levels": (0, 1)},
    "feedback_levels 1, 2": {"feedback_levels": (1, 2)},
}


@dataclass(frozen=True)
class Drawn:
    """Images of one shortcut, and what they took."""

    images: Sequence[Image.Image]
    cold: float
    """Processor seconds an image."""
    warm: float
    bytes: int


def draw(pipeline: Any, shortcut: Mapping[str, Any], images: int, steps: int) -> Drawn:
    """Draw half of the images with new references, half with known ones."""
    settings = dict(shortcut)
    liked = tuple(reference(name) for name in REFERENCES) if settings.pop("feedback", True) else ()
    sampler = FabricSampler(pipeline, SamplerOptions(**settings))
    found: list[Image.Image] = []
    seconds = []
    for first in (0, images // 2):
        began = time.process_time()
        seeds = range(FIRST_SEED + first, FIRST_SEED + first + images // 2)
        found += sampler(Action(replace(BASE, denoising_steps=steps), liked), PROMPT, seeds)
        seconds.append((time.process_time() - began) / len(seeds))
    return Drawn(found, *seconds, sampler.cache.bytes_held)


def alike_to_references(images: Sequence[Image.Image]) -> list[float]:
    """Return how much each image is like the references, in the mean."""
    files = [references_folder() / f"{name}.png" for name in REFERENCES]
    each = [TargetSimilarity(str(file), device="cpu")(images, PROMPT) for file in files]
    return [mean(values) for values in zip(*each, strict=True)]


def row(name: str, drawn: Drawn, usual: Drawn) -> str:
    """Return a row of the table."""
    alike = alike_to_references(drawn.images)
    error = stdev(alike) / len(alike) ** 0.5
    numbers = (
        f"{mean(alike):.3f} ± {error:.3f}",
        f"{_difference(drawn, usual):.1f}",
        f"{drawn.cold:.2f} s",
        f"{drawn.warm:.2f} s",
        f"{drawn.bytes / 1e6:.1f}",
    )
    return f"| {name} | {' | '.join(numbers)} |"


def _difference(one: Drawn, other: Drawn) -> float:
    pairs = zip(one.images, other.images, strict=True)
    return mean(float(np.abs(np.asarray(a, int) - np.asarray(b, int)).mean()) for a, b in pairs)


def main() -> None:
    """Parse the command line, draw, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=16, help="of each; even")
    parser.add_argument("--smoke", action="store_true", help="two images each, of few steps")
    options = parser.parse_args()
    images, steps = (2, 6) if options.smoke else (options.images, BASE.denoising_steps)
    torch.set_num_threads(1)
    pipeline = load_pipeline(Checkpoint(device="cpu"))
    print("| shortcut | alike | differs | cold | warm | MB |\n|---|---|---|---|---|---|")
    usual = draw(pipeline, {}, images, steps)  # warms up, too
    for name, shortcut in SHORTCUTS.items():
        print(row(name, draw(pipeline, shortcut, images, steps), usual), flush=True)


if __name__ == "__main__":
    main()
