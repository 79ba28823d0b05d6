"""What draws: a checkpoint without and with its LoRA, both with the scheduler of the paper."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch

from experiments.paper.lora_training import WEIRD
from experiments.paper.rounds import Artist
from fabricbo.sampler import Checkpoint, FabricSampler, SamplerOptions, load_pipeline

SCHEDULERS = ("euler-ancestral", "own")


@dataclass(frozen=True)
class Drawing:
    """What is common to all that is drawn.

    Raises:
        ValueError: no such LoRA file, another format, or a size that is no multiple of 8.
    """

    checkpoint: Checkpoint
    """Without the LoRA."""
    lora: Path | None
    negative_prompt: str
    """With the LoRA, "Weird image. " stands before it."""
    scheduler: str = "euler-ancestral"
    """That of the authors, or the checkpoint's `own`."""
    size: int | None = None
    """Pixels; None takes the checkpoint's own."""

    def __post_init__(self) -> None:
        replace(self.checkpoint, lora=self.lora)
        SamplerOptions(width=self.size)

    def artist(self, *, with_lora: bool) -> Artist:
        """Load the networks."""
        from diffusers import EulerAncestralDiscreteScheduler

        lora = self.lora if with_lora else None
        pipeline = load_pipeline(replace(self.checkpoint, lora=lora))
        pipeline.unet.to(memory_format=torch.channels_last)
        if with_lora:
            # Worked into the parameters it takes no time of its own.
            pipeline.fuse_lora()
            pipeline.unload_lora_weights()
        if self.scheduler == "euler-ancestral":
            config = pipeline.scheduler.config
            pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(config)
        negative_prompt = (WEIRD if with_lora else "") + self.negative_prompt
        options = SamplerOptions(negative_prompt, self.size, self.size)
        return Artist(FabricSampler(pipeline, options))


@cache
def file_hash(file: Path) -> str:
    """Return the identity of a file's contents."""
    return hashlib.sha256(file.expanduser().read_bytes()).hexdigest()[:12]
