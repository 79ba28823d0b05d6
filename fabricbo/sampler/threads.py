"""How many CPU threads draw fastest: measured, because on busy machines fewer are faster.

On a machine whose cores are shared, the threads of one operation wait for the slowest; one
thread was seen to be several times faster than two.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from fabricbo.protocols import Drawing, Environment
from fabricbo.records import Action
from fabricbo.sampler.networks import call, is_transformer, latent_channels
from fabricbo.sampler.sampler import FabricSampler

REMEASURE_SECONDS = 120.0

_log = logging.getLogger(__name__)


class ThreadTunedSampler:
    """A `FabricSampler` on the CPU that measures now and then how many threads are fastest."""

    def __init__(self, sampler: FabricSampler) -> None:
        self._sampler = sampler
        self._most = torch.get_num_threads()
        self._measured = -REMEASURE_SECONDS

    def __call__(
        self, action: Action, prompt: str | Sequence[str], seeds: Sequence[int]
    ) -> list[Image.Image]:
        """Draw one image for each seed, with the number of threads that was fastest lately."""
        self._tune(len(seeds))
        return self._sampler(action, prompt, seeds)

    def together(self, drawings: Sequence[Drawing]) -> list[list[Image.Image]]:
        """Draw images of several actions in one batch."""
        self._tune(sum(len(drawing.seeds) for drawing in drawings))
        return self._sampler.together(drawings)

    def _tune(self, images: int) -> None:
        images = min(images, self._sampler.options.images_at_once or images)
        if self._most > 1 and time.monotonic() - self._measured >= REMEASURE_SECONDS:
            seconds = {n: self._pass_seconds(n, images) for n in (1, self._most)}
            torch.set_num_threads(min(seconds, key=lambda n: seconds[n]))
            self._measured = time.monotonic()
            _log.info("seconds for a U-Net pass by threads: %s", seconds)

    @property
    def counts(self) -> Mapping[str, int]:
        """What the sampler counts."""
        return self._sampler.counts

    @property
    def environment(self) -> Environment:
        """What its images depend on besides the call."""
        return self._sampler.environment

    def embed(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Embed images as the sampler does."""
        return self._sampler.embed(images)

    @torch.no_grad()
    def _pass_seconds(self, threads: int, images: int) -> float:
        """Time the second of two passes of the network; the first warms up."""
        torch.set_num_threads(threads)
        network = self._sampler.network
        width, height = self._sampler.size
        scale = self._sampler.pipeline.vae_scale_factor
        latents = torch.zeros(2 * images, latent_channels(network), height // scale, width // scale)
        given: dict[str, Any] = {
            name: value.expand(2 * images, -1) for name, value in self._sampler.null_added.items()
        }
        if given and not is_transformer(network):
            given = {"added_cond_kwargs": {**given, "time_ids": torch.zeros(2 * images, 6)}}
        if getattr(network.config, "guidance_embeds", False):
            given["guidance"] = torch.ones(2 * images)
        given["encoder_hidden_states"] = self._sampler.null_embeds.expand(2 * images, -1, -1)
        times = torch.full((2 * images,), 500)
        call(network, latents, times, given)
        began = time.monotonic()
        call(network, latents, times, given)
        return time.monotonic() - began
