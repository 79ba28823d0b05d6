"""Measure how far images of the same seed differ: drawn again, alone, in batches, by threads.

python -m experiments.measure_reproducibility            # the numbers of docs/concepts.md
python -m experiments.measure_reproducibility --smoke
"""

import argparse
from collections.abc import Sequence

import diffusers
import numpy as np
import torch

from fabricbo import Action, Checkpoint, FabricParams, FabricSampler, load_pipeline
from fabricbo.demo import pool_folder
from fabricbo.study.pool import read_pool

SCHEDULERS = ("DDIMScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler")


def pixels(sampler: FabricSampler, action: Action, seeds: Sequence[int]) -> np.ndarray:
    """Draw images as whole numbers."""
    return np.stack([np.asarray(i, dtype=np.int16) for i in sampler(action, "a cat", seeds)])


def differences(sampler: FabricSampler, action: Action, seeds: Sequence[int]) -> dict[str, str]:
    """Say how many channel values differ from those of one batch, and by how much at most."""
    torch.set_num_threads(1)
    expected = pixels(sampler, action, seeds)
    drawn = {"again": pixels(sampler, action, seeds)}
    drawn["alone"] = np.concatenate([pixels(sampler, action, [seed]) for seed in seeds])
    drawn["turned round"] = pixels(sampler, action, seeds[::-1])[::-1]
    torch.set_num_threads(2)
    fresh = FabricSampler(sampler.pipeline)  # the features too are computed with two threads
    drawn["two threads"] = pixels(fresh, action, seeds)
    return {name: _told(np.abs(images - expected)) for name, images in drawn.items()}


def _told(difference: np.ndarray) -> str:
    return f"{(difference > 0).mean():.4%} differ, by {difference.max()}/255 at most"


def main() -> None:
    """Print the differences for some schedulers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="two images of three steps")
    smoke = parser.parse_args().smoke
    pipeline, pool = load_pipeline(Checkpoint("demo")), read_pool(pool_folder())
    steps, seeds = (3, range(2)) if smoke else (20, range(16))
    params = FabricParams(guidance_scale=3.0, denoising_steps=steps)
    for name in SCHEDULERS[:1] if smoke else SCHEDULERS:
        pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config)
        action = Action(params, pool[:4], pool[4:])
        for how, told in differences(FabricSampler(pipeline), action, list(seeds)).items():
            print(f"{name}, {how}: {told}")


if __name__ == "__main__":
    main()
