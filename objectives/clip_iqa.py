"""CLIP-IQA: which of two opposite texts CLIP finds nearer to an image.

Wang et al., "Exploring CLIP for Assessing the Look and Feel of Images" (2023), arXiv 2207.12396,
section 3: the softmax over an antonym pair, computed by torchmetrics. The paper's network is RN50
of CLIP without its positional embedding, so that images keep their size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, extra_module, found, in_batches, shared
from objectives.pickscore import load_clip

EXTRA = "metrics"
PAPER = "RN50"
ARCHITECTURE = "RN50-quickgelu"
"""What open_clip calls it: OpenAI's networks have an activation of their own."""
BATCH = 8
"""Images that go through the network at once, in their own size."""
SMALLEST = 31
"""Pixels a side that RN50 can see at least."""


@objective(
    name="clip-iqa",
    card=Card(
        scale="probability of the first text, 0 to 1",
        source="arXiv 2207.12396, section 3",
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
            raise ObjectiveError(
                f"prompts must be two texts, the wanted one first, got {prompts!r}"
            )
        self._asked = quality if prompts is None else (str(prompts[0]), str(prompts[1]))
        self._checkpoint, self._place = checkpoint, Place(device, offload, dtype)
        self._metric: Any = None

    def load(self) -> None:
        """Load the network, and embed the texts.

        Raises:
            ObjectiveError: torchmetrics is not installed or does not know the quality, or the
                network is neither here nor can it be fetched.
        """
        if self._metric is not None:
            return
        multimodal = extra_module("torchmetrics.multimodal", EXTRA)
        clip = self._clip()
        with clip.network.at_work():
            try:
                self._metric = multimodal.CLIPImageQualityAssessment(
                    lambda: (clip, clip), prompts=(self._asked,)
                )
            except ValueError as error:
                raise ObjectiveError(f"quality: {error}") from error

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one probability an image."""
        self.load()
        clip, shown = self._clip(), [to_rgb(image) for image in images]
        size = BATCH if len({image.size for image in shown}) == 1 else 1
        with clip.network.at_work():

            def probability(some: Sequence[Image.Image]) -> Tensor:
                self._metric.update(clip.pixels(some))
                probabilities: Tensor = self._metric.compute().reshape(-1)
                self._metric.reset()
                return probabilities

            found: list[float] = in_batches(probability, shown, size).tolist()
        return found

    def _clip(self) -> "_Clip":
        if self._checkpoint == PAPER:
            return _of_open_clip(shared(load_rn50, self._place))
        return _of_transformers(shared(load_clip, self._checkpoint, self._checkpoint, self._place))


@dataclass(frozen=True)
class _Clip:
    """What torchmetrics asks of a CLIP model and of its processor, both in one.

    It calls transformers' CLIP models itself, but takes their features for tensors, which they no
    longer are in transformers 5. And it hands images to the processor as tensors in [0, 1], which
    that divides by 255 once more; here images are prepared before.
    """

    network: Network
    pixels: Callable[[Sequence[Image.Image]], Tensor]
    tokens: Callable[[list[str]], Mapping[str, Tensor]]
    see: Callable[[Tensor], Tensor]
    read: Callable[[Tensor, Tensor], Tensor]

    def __call__(
        self, text: list[str] | None = None, images: list[Tensor] | None = None, **_: Any
    ) -> Mapping[str, Tensor]:
        """Be the processor."""
        return self.tokens(text or []) if images is None else {"pixel_values": torch.stack(images)}

    def get_text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Be the model."""
        device = self.network.place.torch_device
        return self.read(ids.to(device), mask.to(device)).float().cpu()

    def get_image_features(self, pixels: Tensor) -> Tensor:
        """Be the model."""
        place = self.network.place
        return self.see(pixels.to(place.torch_device, place.torch_dtype)).float().cpu()


def _of_transformers(network: Network) -> _Clip:
    model, prepare = network.module, network.prepare
    return _Clip(
        network,
        lambda images: prepare.pixels(list(images), return_tensors="pt")["pixel_values"],
        lambda texts: prepare.tokens(texts, padding=True, truncation=True, return_tensors="pt"),
        lambda pixels: model.get_image_features(pixel_values=pixels).pooler_output,
        lambda ids, mask: model.get_text_features(input_ids=ids, attention_mask=mask).pooler_output,
    )


def _of_open_clip(network: Network) -> _Clip:
    import open_clip

    def tokens(texts: list[str]) -> Mapping[str, Tensor]:
        ids = open_clip.get_tokenizer(ARCHITECTURE)(texts)
        return {"input_ids": ids, "attention_mask": ids != 0}

    return _Clip(
        network,
        lambda images: torch.stack([network.prepare(_large_enough(image)) for image in images]),
        tokens,
        network.module.encode_image,
        lambda ids, _mask: network.module.encode_text(ids),
    )


def load_rn50(place: Place) -> Network:
    """Load the paper's network: CLIP's RN50, that takes images of any size.

    Raises:
        ObjectiveError: it is neither here nor can it be fetched.
    """
    import open_clip
    from torchvision.transforms import Compose, Normalize, ToTensor

    with found("checkpoint", f"{ARCHITECTURE}/openai of open_clip"):
        model = open_clip.create_model(
            ARCHITECTURE, pretrained="openai", device="cpu", weights_only=True
        )
    without_positions(model)
    constants = open_clip.constants
    prepare = Compose(
        [ToTensor(), Normalize(constants.OPENAI_DATASET_MEAN, constants.OPENAI_DATASET_STD)]
    )
    return Network(model.eval().requires_grad_(False).to(place.torch_dtype), prepare, place)


def without_positions(model: Any) -> None:
    """Take the positional embedding from a ResNet of CLIP: a single zero for all places."""
    pool = model.visual.attnpool
    pool.positional_embedding = nn.Parameter(torch.zeros_like(pool.positional_embedding[:1]))


def _large_enough(image: Image.Image) -> Image.Image:
    if min(image.size) < SMALLEST:
        raise ObjectiveError(
            f"images must have at least {SMALLEST} pixels a side, got {image.width} x "
            f"{image.height}"
        )
    return image


def _is_pair(prompts: object) -> bool:
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or len(prompts) != 2:
        return False
    return all(isinstance(text, str) and text.strip() for text in prompts)
