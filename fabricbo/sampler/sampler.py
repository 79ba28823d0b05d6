"""`FabricSampler`: an action, a prompt and seeds become images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from fabricbo.protocols import Environment
from fabricbo.records import Action, FabricParams
from fabricbo.sampler.environment import environment_of
from fabricbo.sampler.features import DEFAULT_CACHE_BYTES, FeatureCache
from fabricbo.sampler.feedback import FeedbackInputs, check_unet, feedback
from fabricbo.sampler.noise import ReferenceNoiseKind, fixed_noise, fresh_noise
from fabricbo.sampler.prompts import drop_words
from fabricbo.sampler.references import ReferenceEncoder, ReferenceFit

StepCallback = Callable[[int, int], None]
"""Called after each denoising step with its number, from 1, and the number of timesteps."""

_NOISES = {"fixed": fixed_noise, "fresh": fresh_noise}


@dataclass(frozen=True, slots=True)
class SamplerOptions:
    """What is common to all images of a study besides the action.

    Raises:
        ValueError: a size that is not a positive multiple of 8, or an unknown choice.
    """

    negative_prompt: str = ""
    width: int | None = None
    """Pixels, a multiple of 8; None takes the checkpoint's own size."""
    height: int | None = None
    reference_noise: ReferenceNoiseKind = "fixed"
    reference_fit: ReferenceFit = "stretch"
    cache_bytes: int = DEFAULT_CACHE_BYTES
    """Budget for reference features, on the device."""

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            value = getattr(self, name)
            if value is not None and (value <= 0 or value % 8):
                raise ValueError(f"{name} must be a positive multiple of 8 pixels, got {value}")
        if self.reference_noise not in _NOISES:
            raise ValueError(f"reference_noise must be fixed or fresh, got {self.reference_noise}")
        if self.reference_fit not in ("stretch", "crop"):
            raise ValueError(f"reference_fit must be stretch or crop, got {self.reference_fit}")


class FabricSampler:
    """Draws images with a loaded Stable Diffusion pipeline; remembers reference features.

    Without references, or where all weights are 0, it is the stock pipeline, bit for bit. Each
    image has a random generator of its own, so that its seed gives the same image alone or in
    a batch, up to rounding; the same call gives the same images bit for bit on one machine.
    """

    def __init__(self, pipeline: Any, options: SamplerOptions | None = None) -> None:
        """Wrap a pipeline.

        Args:
            pipeline: diffusers' `StableDiffusionPipeline`, or one that takes the same arguments.
            options: what is common to all images.

        Raises:
            ValueError: the U-Net needs added conditions (SDXL), which this version does not give.
        """
        check_unet(pipeline.unet)
        self.pipeline = pipeline
        self.options = options or SamplerOptions()
        self.cache = FeatureCache(self.options.cache_bytes)
        self._encoder = ReferenceEncoder(pipeline.vae, self.options.reference_fit)
        self._null_embeds: Tensor | None = None

    @cached_property
    def environment(self) -> Environment:
        """What its images depend on besides the call; takes seconds for large networks, once."""
        return environment_of(self.pipeline)

    @torch.no_grad()
    def __call__(
        self,
        action: Action,
        prompt: str | Sequence[str],
        seeds: Sequence[int],
        *,
        on_step: StepCallback | None = None,
    ) -> list[Image.Image]:
        """Draw one image for each seed.

        Args:
            action: settings and references.
            prompt: one for all images, or one for each.
            seeds: at least 0, below 2**63.
            on_step: told about progress; what it raises stops the drawing.

        Raises:
            ValueError: no seed, or not as many prompts as seeds.
        """
        prompts = _prompts(prompt, seeds, action.params.prompt_dropout)
        with feedback(
            self.pipeline.unet, self.pipeline.scheduler, action.params, self._inputs(action)
        ):
            output = self.pipeline(
                prompt=prompts,
                negative_prompt=[self.options.negative_prompt] * len(prompts),
                width=self.size[0],
                height=self.size[1],
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                **_pipeline_settings(action.params),
                callback_on_step_end=_step_callback(on_step),
            )
        return list(output.images)

    def embed(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Return what images look like from afar: VAE latents averaged over 4 x 4 tiles, `n x d`.

        For telling which references are alike where no better embedding is at hand.
        """
        latents = torch.cat([self._encoder.latents(image, *self.size) for image in images])
        tiles: npt.NDArray[np.float32]
        tiles = adaptive_avg_pool2d(latents.float(), 4).flatten(1).cpu().numpy()
        return tiles

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images, in pixels."""
        sample = self.pipeline.unet.config.sample_size
        rows, columns = (sample, sample) if isinstance(sample, int) else sample
        scale = self.pipeline.vae_scale_factor
        return self.options.width or columns * scale, self.options.height or rows * scale

    def _inputs(self, action: Action) -> FeedbackInputs:
        width, height = self.size
        return FeedbackInputs(
            null_embeds=self.null_embeds,
            liked=self._encoder(action.liked, width, height),
            disliked=self._encoder(action.disliked, width, height),
            noise=_NOISES[self.options.reference_noise],
            cache=self.cache,
        )

    @property
    def null_embeds(self) -> Tensor:
        """Embedding of the empty prompt, `1 tokens embed`."""
        if self._null_embeds is None:
            device = self.pipeline._execution_device
            embeds, _ = self.pipeline.encode_prompt("", device, 1, False)
            self._null_embeds = embeds
        return self._null_embeds


def _prompts(prompt: str | Sequence[str], seeds: Sequence[int], dropout: float) -> list[str]:
    if not seeds:
        raise ValueError("drawing needs at least one seed, got none")
    prompts = [prompt] * len(seeds) if isinstance(prompt, str) else list(prompt)
    if len(prompts) != len(seeds):
        raise ValueError(f"expected one prompt a seed, got {len(prompts)} for {len(seeds)} seeds")
    return [drop_words(text, dropout, seed) for text, seed in zip(prompts, seeds, strict=True)]


def _pipeline_settings(params: FabricParams) -> dict[str, float]:
    return {
        "guidance_scale": params.guidance_scale,
        "num_inference_steps": params.denoising_steps,
    }


def _step_callback(on_step: StepCallback | None) -> Any:
    """Translate diffusers' callback; None stays None, so that nothing is called for nothing."""
    if on_step is None:
        return None

    def callback(
        pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        on_step(step + 1, pipeline.num_timesteps)
        return tensors

    return callback
