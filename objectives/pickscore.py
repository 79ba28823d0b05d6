"""PickScore: what people who used a drawing site preferred.

Kirstain et al., "Pick-a-Pic: An Open Dataset of User Preferences for Text-to-Image Generation"
(2023), arXiv 2305.01569, section 4: a CLIP model fine-tuned on pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fabricbo import Card, objective
from fabricbo.demo import preference_scorer_folder
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, found, in_batches, shared

CHECKPOINT = "yuvalkirstain/PickScore_v1"
PROCESSOR = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
"""Whose preprocessing and tokenizer the authors use, those of the network it was trained from."""
MAX_TOKENS = 77


@objective(
    name="pickscore",
    card=Card(
        scale="logit scale times cosine; comparable within a prompt only",
        source="arXiv 2305.01569, section 4; github.com/yuvalkirstain/PickScore",
        licence="transformers: Apache-2.0",
        checkpoint=CHECKPOINT,
        checkpoint_licence="MIT",
        parameters=986,
    ),
)
class PickScore:
    """exp(logit_scale) times the cosine of prompt and image; maximized."""

    def __init__(
        self,
        checkpoint: str = CHECKPOINT,
        processor: str | None = None,
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Remember what to load.

        Args:
            checkpoint: hub id, or a folder, of a CLIP model in transformers' format; `demo` for
                the bundled preference scorer, which knows the bundled model's pictures only.
            processor: likewise, of preprocessing and tokenizer; None: the checkpoint's folder, or
                for a hub id the one that the authors name.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: no such device or precision.
        """
        if checkpoint == "demo":
            checkpoint = str(preference_scorer_folder())
        is_folder = Path(checkpoint).expanduser().is_dir()
        self._checkpoint = checkpoint
        self._processor = processor or (checkpoint if is_folder else PROCESSOR)
        self._place = Place(device, offload, dtype)

    def load(self) -> None:
        """Load the network.

        Raises:
            ObjectiveError: it is neither here nor can it be fetched.
        """
        self._network()

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one score an image."""
        network = self._network()
        with network.at_work() as model:
            text = network.prepare.tokens(
                [prompt],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            # An output object in transformers 5, whose pooled output is the projected embedding.
            features = model.get_text_features(**text.to(self._place.torch_device)).pooler_output
            wanted = F.normalize(features.float(), dim=-1).cpu()[0]
            scale = float(model.logit_scale.float().exp())
            return (scale * (self._embedded(network, images) @ wanted)).tolist()

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the network's embeddings, `n x d`, which tell the search what is alike."""
        network = self._network()
        with network.at_work():
            return self._embedded(network, images)

    def _embedded(self, network: Network, images: Sequence[Image.Image]) -> Tensor:
        def embed(some: Sequence[Image.Image]) -> Tensor:
            pixels = network.prepare.pixels([to_rgb(image) for image in some], return_tensors="pt")
            values = pixels["pixel_values"].to(self._place.torch_device, self._place.torch_dtype)
            features = network.module.get_image_features(pixel_values=values).pooler_output
            return F.normalize(features.float(), dim=-1)

        return in_batches(embed, images)

    def _network(self) -> Network:
        return shared(load_clip, self._checkpoint, self._processor, self._place)


@dataclass(frozen=True)
class _Processor:
    """Transformers' preprocessing of images, and its tokenizer."""

    pixels: Any
    tokens: Any


def load_clip(checkpoint: str, processor: str, place: Place) -> Network:
    """Load a CLIP model in transformers' format, with its preprocessing and tokenizer.

    Raises:
        ObjectiveError: either is neither here nor can it be fetched.
    """
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    with found("checkpoint", checkpoint):
        model = CLIPModel.from_pretrained(checkpoint, use_safetensors=True, dtype=place.torch_dtype)
    with found("processor", processor):
        # Pillow's resizing, as the authors had it: torchvision's differs in the last digits.
        pixels = AutoImageProcessor.from_pretrained(processor, backend="pil")
        tokens = AutoTokenizer.from_pretrained(processor, trust_remote_code=False)
    return Network(model.eval().requires_grad_(False), _Processor(pixels, tokens), place)
