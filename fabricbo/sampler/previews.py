"""Previews: what images are going to look like, while they are drawn.

A U-Net that was trained with variance-preserving noise (Stable Diffusion 1.x, 2.x, SDXL, LCM) is
shown x_t = sqrt(a) x_0 + sqrt(1 - a) e by whatever scheduler, `a` being the cumulative alpha of its
timestep, and its prediction says what it takes for x_0 (Ho et al. 2020, arXiv 2006.11239, equation
15; for v-prediction Salimans and Ho 2022, arXiv 2202.00512, appendix D). That is decoded, and not
the noisy latents, by a small distilled decoder (diffusers' `AutoencoderTiny`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from jaxtyping import Float
from PIL import Image
from torch import Tensor

_LEAST = 1e-6
"""Of a cumulative alpha: schedules that end at zero signal would divide by it."""


@dataclass(frozen=True)
class Preview:
    """What is known of images while they are drawn."""

    step: int
    """How many passes of the U-Net there were, from 1; one a denoising step, or two."""
    steps: int
    """How many timesteps there are."""
    images: tuple[Image.Image, ...]
    """One for each image of the batch."""


@dataclass(frozen=True)
class Previews:
    """Who is shown previews, and what decodes them.

    Raises:
        ValueError: `every` is below 1.
    """

    decoder: Any
    """diffusers' `AutoencoderTiny`, see `load_preview_decoder`."""
    show: Callable[[Preview], None]
    """Called while images are drawn; what it raises stops the drawing."""
    every: int = 1
    """After how many passes of the U-Net there is another, at least 1; the first has one."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")


def check_decoder(decoder: Any, pipeline: Any) -> None:
    """Check that a decoder reads a pipeline's latents, and that its predictions can be read.

    Raises:
        ValueError: it has another number of channels, or the scheduler no known schedule.
    """
    theirs, ours = decoder.config.latent_channels, pipeline.vae.config.latent_channels
    if theirs != ours:
        raise ValueError(
            f"the preview decoder must read latents of {ours} channels, as the checkpoint has, got "
            f"one for {theirs}"
        )
    if not hasattr(pipeline.scheduler, "alphas_cumprod"):
        raise ValueError(
            "previews need a scheduler with a training schedule (alphas_cumprod), got "
            f"{type(pipeline.scheduler).__name__}"
        )


@contextmanager
def previewing(pipeline: Any, previews: Previews | None, guidance: float) -> Iterator[None]:
    """Show previews of what the pipeline draws inside the `with`; images stay the same.

    Args:
        pipeline: its U-Net is listened to.
        previews: None shows nothing.
        guidance: scale; rescaling of what guidance makes is not previewed.
    """
    if previews is None:
        yield
        return
    watch = _Watch(pipeline, previews, guidance)
    handle = pipeline.unet.register_forward_hook(watch.after, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


class _Watch:
    """Looks at each pass of the U-Net; those of references end before there is a prediction."""

    def __init__(self, pipeline: Any, previews: Previews, guidance: float) -> None:
        self._pipeline = pipeline
        self._previews = previews
        unet = pipeline.unet
        self._guidance = guidance if unet.config.time_cond_proj_dim is None else 1.0
        self._step = 0

    @torch.no_grad()
    def after(self, _unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Decode what the U-Net predicts."""
        self._step += 1
        if (self._step - 1) % self._previews.every:
            return
        sample = args[0] if args else kwargs["sample"]
        timestep = args[1] if len(args) > 1 else kwargs["timestep"]
        predicted = output[0] if isinstance(output, tuple) else output.sample
        if self._guidance > 1:
            sample = sample.chunk(2)[1]
            uncond, cond = predicted.chunk(2)
            predicted = uncond + self._guidance * (cond - uncond)
        scheduler = self._pipeline.scheduler
        clean = predicted_clean(scheduler, sample, timestep, predicted)
        images = tuple(decoded(self._previews.decoder, clean))
        self._previews.show(Preview(self._step, len(scheduler.timesteps), images))


def predicted_clean(
    scheduler: Any,
    sample: Float[Tensor, "batch channels height width"],
    timestep: Any,
    predicted: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Return what a prediction says of the clean latents.

    Args:
        scheduler: with a training schedule (`alphas_cumprod`) and a `prediction_type`.
        sample: as the U-Net was shown it.
        timestep: may lie between two of the training schedule.
        predicted: after guidance.

    Raises:
        ValueError: an unknown kind of prediction.
    """
    kind = getattr(scheduler.config, "prediction_type", "epsilon")
    alpha = _alpha(scheduler, float(timestep))
    signal, noise = alpha**0.5, (1 - alpha) ** 0.5
    if kind == "epsilon":
        return (sample - noise * predicted) / signal  # type: ignore[no-any-return]
    if kind == "v_prediction":
        return signal * sample - noise * predicted  # type: ignore[no-any-return]
    if kind == "sample":
        return predicted
    raise ValueError(f"previews know predictions of noise, velocity or sample, got {kind!r}")


def _alpha(scheduler: Any, timestep: float) -> float:
    """Return the cumulative alpha of a timestep; between two, log sigma is interpolated.

    So do schedulers that choose their own noise levels find timesteps for them.
    """
    alphas = scheduler.alphas_cumprod.double().cpu().numpy().clip(_LEAST, 1 - _LEAST)
    levels = 0.5 * np.log((1 - alphas) / alphas)
    level = float(np.interp(timestep, np.arange(len(levels)), levels))
    return float(1 / (1 + np.exp(2 * level)))


@torch.no_grad()
def decoded(
    decoder: Any, latents: Float[Tensor, "batch channels height width"]
) -> list[Image.Image]:
    """Decode latents of the U-Net's scale by a small decoder."""
    given = latents.to(decoder.device, decoder.dtype) / decoder.config.scaling_factor
    pixels = decoder.decode(given, return_dict=False)[0]
    images: list[Image.Image] = VaeImageProcessor().postprocess(pixels, output_type="pil")
    return images
