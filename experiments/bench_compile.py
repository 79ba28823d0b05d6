"""What `[checkpoint] compile` costs and saves: seconds of compiling, seconds of drawing.

    python -m experiments.bench_compile
    python -m experiments.bench_compile --smoke

The bundled checkpoint draws plainly and with two liked references and a disliked one, eagerly and
compiled, in turns. `first` is the first call of the compiled one, by the clock, compiling included;
the others are medians of processor seconds. What torch compiled in earlier processes is not used.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from experiments.sampler_speed.cost import side_by_side
from fabricbo import Action, Checkpoint, FabricParams, FabricSampler, Reference, load_pipeline
from fabricbo.demo import references_folder
from fabricbo.imagefiles import image_files, open_image, pixel_hash
from fabricbo.sampler.compiling import compile_blocks

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class Row:
    """What one kind of drawing took."""

    name: str
    images: int
    first: float
    """Seconds of the compiled one's first call."""
    eager: float
    compiled: float
    differs: int
    """Of 255, the channel value that differs most."""


def measure(
    name: str, action: Action, images: int, rounds: int, both: Sequence[FabricSampler]
) -> Row:
    """Draw eagerly and compiled, in turns."""
    eager, compiled = both
    seeds = list(range(images))
    began = time.perf_counter()
    found = compiled(action, "a cat", seeds)
    first = time.perf_counter() - began
    expected = eager(action, "a cat", seeds)
    ways = {
        "eager": lambda: eager(action, "a cat", seeds),
        "compiled": lambda: compiled(action, "a cat", seeds),
    }
    seconds = side_by_side(ways, rounds)
    differs = max(_difference(a, b) for a, b in zip(found, expected, strict=True))
    return Row(name, images, first, seconds["eager"], seconds["compiled"], differs)


def _difference(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def table(rows: Sequence[Row]) -> list[str]:
    """Return a table in Markdown."""
    lines = ["| drawing | images | first | eager | compiled | differs |", "|---" * 6 + "|"]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.images} | {row.first:.1f} s | {row.eager:.2f} s | "
            f"{row.compiled / row.eager:.2f} x | {row.differs} |"
        )
    return lines


@contextmanager
def _own_cache() -> Iterator[None]:
    """Have torch keep what it compiles in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get(_CACHE)
        os.environ[_CACHE] = folder
        try:
            yield
        finally:
            os.environ.pop(_CACHE)
            if before is not None:
                os.environ[_CACHE] = before


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="each is timed so often")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps")
    parser.add_argument("--images", default="1,4", help="how many at once")
    parser.add_argument("--smoke", action="store_true", help="one image, two steps")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.steps, options.images = 1, 2, "1"
    torch.set_num_threads(1)
    params = FabricParams(guidance_scale=3.0, denoising_steps=options.steps, feedback_end=1.0)
    files = image_files(references_folder())[:3]
    liked, other, disliked = (
        Reference(pixel_hash(image), file.stem, image)
        for file, image in ((file, open_image(file)) for file in files)
    )
    kinds = {"plain": Action(params), "feedback": Action(params, (liked, other), (disliked,))}
    with _own_cache():
        pipelines = [load_pipeline(Checkpoint("demo")) for _ in range(2)]
        if options.smoke:
            pipelines[1].unet.compile_repeated_blocks(backend="eager")  # traced only
        else:
            compile_blocks(pipelines[1].unet)
        both = [FabricSampler(pipeline) for pipeline in pipelines]
        rows = [
            measure(name, action, int(images), options.rounds, both)
            for images in options.images.split(",")
            for name, action in kinds.items()
        ]
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
