"""CLIP-IQA: which of two opposite texts CLIP finds nearer to an image.

Wang et al., "Exploring CLIP for Assessing the Look and Feel of Images" (2023), arXiv 2207.12396,
equation 3: the softmax over an antonym pair, computed by torchmetrics. The paper's network is CLIP's
RN50 without its positional embedding (section 3.2), so that images keep their size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, extra_module, found, in_batches, shared
from objectives.pickscore import load_clip

EXTRA = "metrics"
PAPER = "RN50"
SMALLEST = 32
"""Pixels a side that RN50 makes one place of."""


@objective(
    name="clip-iqa",
    card=Card(
        scale="probability of the first text, 0 to 1",
        source="arXiv 2207.12396, equation 3",
        licence="torchmetrics: Apache-2.0; open_clip: MIT; transformers: Apache-2.0",
        checkpoint="RN50-quickgelu/openai of open_clip (timm/resnet50_clip.openai)",
        checkpoint_licence="MIT",
        parameters=102,
        extra=EXTRA,
    ),
)
class ClipIqa:
    """How much nearer an image is to `Good photo.` than to `Bad photo.`; maximized.

    The softmax of 100 times the cosines of the image with the two texts. The prompt is not looked
    at.
    """

    def __init__(
        self,
        quality: str = "quality",
        checkpoint: str = PAPER,
        *,
        prompts: Sequence[str] | None = None,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Check what to ask.

        Args:
            quality: a pair of texts that torchmetrics knows: `quality`, `brightness`, `noisiness`,
                `colorfullness`, `sharpness`, `contrast`, `natural`, `beautiful` and others.
            checkpoint: `RN50`, the paper's, which takes images in their own size; or hub id or
                folder of a CLIP model in transformers' format, which has them resized.
            prompts: a pair of your own in place of it, what is wanted first.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: two texts are not what prompts are, or no such device or precision.
        """
        if prompts is not None and not _is_pair(prompts):
            raise ObjectiveError(f"prompts must be two texts, the wanted one first, got {prompts!r}")
        self._asked = quality if prompts is None else (str(prompts[0]), str(prompts[1]))
        self._checkpoint, self._place = checkpoint, Place(device, offload, dtype)
        self._metric: Any = None

    def load(self) -> None:
        """Load the network, and embed the texts.

        Raises:
            ObjectiveError: torchmetrics is not installed or does not know the quality, or the
                network is neither here nor can it be fetched.
        """
        if self._metric is None:
            multimodal = extra_module("torchmetrics.multimodal", EXTRA)
            network = self._network()
            with network.at_work():
                try:
                    self._metric = multimodal.CLIPImageQualityAssessment(
                        lambda: (self._features(network), _Given(network.prepare.tokens)),
                        prompts=(self._asked,),
                    )
                except ValueError as error:
                    raise ObjectiveError(f"quality: {error}") from error

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one probability an image."""
        self.load()
        network = self._network()
        with network.at_work():

            def probability(some: Sequence[Image.Image]) -> Tensor:
                self._metric.update(network.prepare.pixels(some))
                probabilities: Tensor = self._metric.compute().reshape(-1)
                self._metric.reset()
                return probabilities

            shown = [to_rgb(image) for image in images]
            alike = len({image.size for image in shown}) == 1
            found: list[float] = in_batches(probability, shown, 8 if alike else 1).tolist()
        return found
