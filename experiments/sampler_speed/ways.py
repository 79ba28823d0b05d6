"""The ways that are compared: each evaluates a U-Net, guided, with the same inputs.

Each does so at the first two denoising steps of a run, since ours runs a reference for two steps at
once; with a stride of two it does so for the first and the third of four.
"""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor

from experiments.sampler_speed.authors import Evaluation, authors_evaluation
from fabricbo.records import FabricParams
from fabricbo.sampler.features import FeatureCache
from fabricbo.sampler.feedback import feedback
from fabricbo.sampler.inputs import FeedbackInputs, ReferenceLatent
from fabricbo.sampler.noise import fixed_noise

STEPS = 20
EVALUATIONS = 2
"""Of each way, at as many denoising steps."""
STRIDED = 4
"""The same with a stride of two."""
WEIGHT = 0.8
_PLENTY = 64 * 2**30  # bytes


@dataclass(frozen=True)
class Cell:
    """What is measured."""

    references: int
    """In all; half of them liked, the larger half where they are odd."""
    images: int


class Ways:
    """One U-Net, one cell, and all ways to evaluate it."""

    def __init__(self, unet: UNet2DConditionModel, cell: Cell) -> None:
        self._unet = unet
        self._images = cell.images
        self._scheduler = DDIMScheduler()
        self._clean = [self._random(i, 1) for i in range(cell.references)]
        self._liked = (cell.references + 1) // 2
        self._latents = self._random(1000, cell.images)
        self._prompt = self._random_embeds(1001, 2 * cell.images)
        self._null = self._random_embeds(1002, 1)
        self._cache, self._lean_cache = FeatureCache(_PLENTY), FeatureCache(_PLENTY)

    def plain(self) -> Tensor:
        """No feedback."""
        return self._run(EVALUATIONS)

    @torch.no_grad()
    def _run(self, evaluations: int) -> Tensor:
        latents = torch.cat([self._latents] * 2)
        return torch.cat(
            [
                self._unet(latents, timestep, self._prompt, return_dict=False)[0]
                for timestep in self._timesteps(evaluations)
            ]
        )

    def cold(self) -> Tensor:
        """Ours, meeting its references for the first time."""
        return self._ours(FeatureCache(_PLENTY))

    def strided(self) -> Tensor:
        """As `cold`, references at every second denoising step only: `STRIDED` evaluations."""
        return self._ours(FeatureCache(_PLENTY), stride=2)

    def warm(self) -> Tensor:
        """Ours, having met its references at this step before."""
        return self._ours(self._cache)

    def lean(self) -> Tensor:
        """As `warm`, in less memory."""
        return self._ours(self._lean_cache, lean=True)

    def bounded(self) -> Tensor:
        """As `lean`, with nothing kept from one step to another but what comes along."""
        return self._ours(FeatureCache(0), lean=True)

    @property
    def held(self) -> int:
        """Bytes that stay between evaluations for `warm` to be warm."""
        return self._cache.bytes_held

    @property
    def held_lean(self) -> int:
        """The same for `lean`."""
        return self._lean_cache.bytes_held

    def authors(self) -> Tensor:
        """As the authors' implementation does."""
        return torch.cat([self._authors_at(timestep) for timestep in self._timesteps()])

    def _authors_at(self, t: Tensor) -> Tensor:
        noised = [self._noised(i, t) for i in range(len(self._clean))]
        empty = self._latents[:0]
        return authors_evaluation(
            self._unet,
            Evaluation(
                self._latents,
                t,
                self._prompt,
                self._null,
                liked=torch.cat([empty, *noised[: self._liked]]),
                disliked=torch.cat([empty, *noised[self._liked :]]),
                weight=WEIGHT,
            ),
        )

    @torch.no_grad()
    def _ours(self, cache: FeatureCache, *, lean: bool = False, stride: int = 1) -> Tensor:
        params = FabricParams(
            feedback_start=0.0,
            feedback_end=1.0,
            max_weight=WEIGHT,
            neg_scale=1.0,
            pos_bottleneck_scale=1.0,
            neg_bottleneck_scale=1.0,
            guidance_scale=7.5,
            denoising_steps=STEPS,
        )
        references = [ReferenceLatent(str(i), clean) for i, clean in enumerate(self._clean)]
        inputs = FeedbackInputs(
            self._null,
            liked=tuple(references[: self._liked]),
            disliked=tuple(references[self._liked :]),
            cache=cache,
            lean=lean,
            stride=stride,
        )
        with feedback(self._unet, self._scheduler, params, inputs):
            return self._run(EVALUATIONS if stride == 1 else STRIDED)

    def _timesteps(self, several: int = EVALUATIONS) -> Tensor:
        """Begin a run anew, so that the next pass is its first step."""
        self._scheduler.set_timesteps(STEPS)
        first: Tensor = self._scheduler.timesteps[:several]
        return first

    def _noised(self, index: int, timestep: Tensor) -> Tensor:
        clean = self._clean[index]
        noise = fixed_noise(str(index), 0, clean.shape).to(clean)
        noised: Tensor = self._scheduler.add_noise(clean, noise, timestep.reshape(1))
        return noised

    def _random(self, seed: int, rows: int) -> Tensor:
        config: Any = self._unet.config
        return self._normal(
            seed, (rows, config.in_channels, config.sample_size, config.sample_size)
        )

    def _random_embeds(self, seed: int, rows: int) -> Tensor:
        return self._normal(seed, (rows, 77, self._unet.config.cross_attention_dim))

    def _normal(self, seed: int, shape: tuple[int, ...]) -> Tensor:
        drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        return drawn.to(self._unet.device, self._unet.dtype)
