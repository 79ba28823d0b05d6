"""Time saving an image: without texts, with both of them, and to places that are reached by URL.

    python -m experiments.time_saving
    python -m experiments.time_saving --smoke
    python -m experiments.time_saving --at s3://bucket/folder

Each picture is new, so that it is written; the ways take turns, and medians are told.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from fabricbo.records import FabricParams
from fabricbo.study.images import ImageStore, images_of
from fabricbo.study.origin import Origin

ORIGIN = Origin(
    study="timed",
    trial=1,
    round=1,
    attempt=1,
    prompt="a portrait of a cat in the style of an old master, soft light, detailed fur",
    negative_prompt="blurry, low quality",
    seed=1,
    together=(1, 2, 3, 4),
    params=FabricParams(),
    liked=("0" * 32,) * 4,
    disliked=("1" * 32,) * 4,
    checkpoint={"name": "v1-5.safetensors"},
    drawn_with={
        "weights": "0" * 64,
        "scheduler": "EulerAncestralDiscreteScheduler",
        "scheduler_options": {f"option_{number}": number for number in range(20)},
        "packages": {f"package_{number}": "1.2.3" for number in range(8)},
    },
)


def pictures(count: int, side: int) -> list[Image.Image]:
    """Return smooth pictures with a little noise, all different."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[0:side, 0:side] / side
    found = []
    for _ in range(count):
        waves = [np.sin(6 * (rng.random() * x + rng.random() * y)) for _ in range(3)]
        noise = rng.normal(scale=2, size=(side, side, 3))
        values = 127 + 120 * np.stack(waves, axis=-1) + noise
        found.append(Image.fromarray(values.clip(0, 255).astype(np.uint8)))
    return found


def median_seconds(
    ways: dict[str, tuple[ImageStore, Origin | None]], count: int, side: int
) -> dict[str, float]:
    """Return how long a save takes, by the way that it is done."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    left = iter(pictures(count * len(ways), side))
    for _ in range(count):
        for name, (store, origin) in ways.items():
            picture, began = next(left), time.perf_counter()
            store.save(picture, origin)
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main() -> None:
    """Parse the command line, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="a few small pictures")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--at", help="URL of a place to time, too")
    options = parser.parse_args()
    count, sides = (3, (64,)) if options.smoke else (51, (64, 512))
    found = {}
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        here, memory = images_of(Path(folder), None), images_of(Path(folder), "memory://timed")
        ways: dict[str, tuple[ImageStore, Origin | None]] = {
            "no texts": (here, None),
            "both texts": (here, ORIGIN),
            "memory://": (memory, ORIGIN),
        }
        if options.at:
            ways[options.at] = (images_of(Path(folder), options.at), ORIGIN)
        for side in sides:
            found[f"{side} x {side}"] = median_seconds(ways, count, side)
    if options.json:
        print(json.dumps(found))
        return
    for size, medians in found.items():
        told = ", ".join(f"{name} {1000 * seconds:.2f} ms" for name, seconds in medians.items())
        print(f"{size}: {told}")


if __name__ == "__main__":
    main()
