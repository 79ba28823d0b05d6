"""Latents to images, apart from the pipeline call that made them.

So that, on a GPU, images are decoded while the next are drawn. What is done is what the pipelines
do at the end of their call, on the same batches: the same images, bit for bit.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from fabricbo.sampler.checkpoints import PIPELINE_NAMES


def can_decode(pipeline: Any) -> bool:
    """Tell whether `decode` does all that a pipeline's own call does to latents at its end."""
    more = ("safety_checker", "watermark", "_unpack_latents")
    is_plain = all(getattr(pipeline, name, None) is None for name in more)
    return type(pipeline).__name__ in PIPELINE_NAMES and is_plain


@torch.no_grad()
def decode(
    pipeline: Any, latents: Float[Tensor, "batch channels height width"]
) -> list[Image.Image]:
    """Decode latents as a pipeline returns them (`output_type="latent"`).

    A VAE that overflows in half precision (SDXL's) works in float32 meanwhile.
    """
    vae, dtype = pipeline.vae, pipeline.vae.dtype
    upcast = dtype == torch.float16 and bool(getattr(vae.config, "force_upcast", False))
    if not hasattr(pipeline, "upcast_vae"):
        upcast = False  # these pipelines do not
    if upcast:
        vae.to(torch.float32)
    try:
        pixels = vae.decode(_unscaled(vae, latents.to(vae.dtype)), return_dict=False)[0]
    finally:
        if upcast:
            vae.to(dtype)
    images: list[Image.Image] = pipeline.image_processor.postprocess(pixels, output_type="pil")
    return images


def _unscaled(vae: Any, latents: Tensor) -> Tensor:
    """Undo the scaling, and the shift where there is one, for the network."""
    if (shift := getattr(vae.config, "shift_factor", None)) is not None:
        return latents / vae.config.scaling_factor + shift  # type: ignore[no-any-return]
    mean, std = (getattr(vae.config, name, None) for name in ("latents_mean", "latents_std"))
    if mean is None or std is None:
        return latents / vae.config.scaling_factor  # type: ignore[no-any-return]
    means, stds = (torch.tensor(v).view(1, -1, 1, 1).to(latents) for v in (mean, std))
    return latents * stds / vae.config.scaling_factor + means  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Undecoded:
    """Images that are drawn up to their latents."""

    pipeline: Any
    batches: Sequence[Float[Tensor, "batch channels height width"]]
    """As they were drawn."""
    lock: AbstractContextManager[Any]
    """Of the VAE, which meanwhile encodes references for those who draw."""
    done: "torch.cuda.Event | None"
    """When the latents are there, on a CUDA device."""

    @classmethod
    def of(
        cls, pipeline: Any, batches: Sequence[Tensor], lock: AbstractContextManager[Any]
    ) -> "Undecoded":
        """Take latents that this thread's stream computes."""
        done = None
        if batches[0].device.type == "cuda":
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()
        return cls(pipeline, batches, lock, done)

    def images(self) -> list[Image.Image]:
        """Decode them, in this thread and on its stream."""
        if self.done is not None:
            present = torch.cuda.current_stream()
            present.wait_event(self.done)
            for latents in self.batches:
                latents.record_stream(present)
        with self.lock:
            return [image for latents in self.batches for image in self._decoded(latents)]

    def _decoded(self, latents: Tensor) -> list[Image.Image]:
        """Decode a batch; one image after the other where memory is too short for all."""
        try:
            return decode(self.pipeline, latents)
        except torch.OutOfMemoryError:
            if len(latents) == 1:
                raise
        torch.cuda.empty_cache()
        return [image for one in torch.split(latents, 1) for image in decode(self.pipeline, one)]


def side_stream(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which this thread's work on a CUDA device goes beside that of others.

    It begins when all is done that the device's usual stream was given before: networks are loaded.
    """
    if device.type != "cuda":
        raise ValueError(f"only a CUDA device has streams, got {device}")
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.default_stream(device))
    beside: AbstractContextManager[Any] = torch.cuda.stream(stream)
    return beside
