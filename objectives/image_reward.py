"""ImageReward: what experts preferred among pictures drawn for a prompt.

Xu et al., "ImageReward: Learning and Evaluating Human Preferences for Text-to-Image Generation"
(2023), arXiv 2304.05977, section 2.2: BLIP reads the prompt while it looks at the image, and linear
layers turn its first token into a reward. Constants and preprocessing are those of the authors'
`ImageReward.py` (github.com/THUDM/ImageReward, commit c1392c6).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb
from objectives.aesthetic import linear_layers
from objectives.blip_parameters import (
    text_config,
    text_parameters,
    under,
    vision_config,
    vision_parameters,
)
from objectives.networks import Network, Place, found, in_batches, shared
from objectives.parameters import check_format, fill, read_parameters

REPOSITORY = "THUDM/ImageReward"
TOKENIZER = "bert-base-uncased"
STEM = "ImageReward"
CONFIG = "med_config.json"
VOCABULARY = "vocab.txt"
MAX_TOKENS = 35
MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""Of the rewards of the training pictures; scores are normalised with them."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@objective(
    name="image-reward",
    card=Card(
        scale="reward, mean 0 and deviation 1 on the training pictures; comparable within a prompt",
        source="arXiv 2304.05977, section 2.2; github.com/THUDM/ImageReward",
        licence="transformers: Apache-2.0",
        checkpoint=f"{REPOSITORY} ({STEM}.pt, a pickle: needs allow_pickle) and {TOKENIZER}",
        checkpoint_licence="Apache-2.0",
        parameters=446,
    ),
)
class ImageReward:
    """The reward that ImageReward expects of an image for the prompt; maximized.

    The published file is a pickle; it is read as tensors only, and only with `allow_pickle`. A
    prompt above 35 tokens is cut off, as the authors do it.
    """

    def __init__(
        self,
        checkpoint: str = REPOSITORY,
        tokenizer: str | None = None,
        *,
        allow_pickle: bool = False,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Check what to load.

        Args:
            checkpoint: hub id, or a folder with `med_config.json` and `ImageReward.safetensors`
                or `ImageReward.pt`.
            tokenizer: hub id or folder of BERT's tokenizer; None: the checkpoint's folder if it
                has a `vocab.txt`, else `bert-base-uncased`.
            allow_pickle: whether the `.pt` file is read, as tensors only.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`, of BLIP; the linear layers keep float32.

        Raises:
            ObjectiveError: a folder that lacks a file, a pickle without permission, or no such
                device or precision.
        """
        folder = Path(checkpoint).expanduser()
        check_format(_file_in(folder), allow_pickle=allow_pickle)
        if tokenizer is None:
            tokenizer = str(folder) if (folder / VOCABULARY).is_file() else TOKENIZER
        self._checkpoint, self._tokenizer = checkpoint, tokenizer
        self._place = Place(device, offload, dtype)

    def load(self) -> None:
        """Load the network.

        Raises:
            ObjectiveError: it is neither here nor can it be fetched, or is something else.
        """
        self._network()

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one reward an image."""
        network = self._network()
        with network.at_work() as model:
            tokens = network.prepare.tokens(
                [prompt],
                padding="max_length",
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            ).to(self._place.torch_device)

            def reward(some: Sequence[Image.Image]) -> Tensor:
                pixels = self._pixels(network, some)
                raw: Tensor = model(pixels, tokens.input_ids, tokens.attention_mask)
                return (raw - MEAN) / STD

            rewards: list[float] = in_batches(reward, images)[:, 0].tolist()
        return rewards

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return BLIP's class tokens, `n x d`, which tell the search what is alike."""
        network = self._network()
        with network.at_work() as model:

            def embed(some: Sequence[Image.Image]) -> Tensor:
                seen = model.vision(self._pixels(network, some)).last_hidden_state[:, 0]
                return F.normalize(seen.float(), dim=-1)

            return in_batches(embed, images)

    def _pixels(self, network: Network, images: Sequence[Image.Image]) -> Tensor:
        pixels = torch.stack([network.prepare.pixels(to_rgb(image)) for image in images])
        return pixels.to(self._place.torch_device, self._place.torch_dtype)

    def _network(self) -> Network:
        return shared(load_image_reward, self._checkpoint, self._tokenizer, self._place)


class RewardModel(nn.Module):
    """BLIP, whose text tower attends to what its vision tower sees, and the layers on top."""

    def __init__(self, vision: Any, text: Any, head: nn.Module) -> None:
        super().__init__()
        self.vision, self.text, self.head = vision, text, head

    def forward(self, pixels: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the raw rewards of images for one text, `images 1`."""
        seen = self.vision(pixels).last_hidden_state
        read = self.text(
            input_ids=tokens.expand(len(seen), -1),
            attention_mask=mask.expand(len(seen), -1),
            encoder_hidden_states=seen,
        )
        rewards: Tensor = self.head(read.last_hidden_state[:, 0].float())
        return rewards


@dataclass(frozen=True)
class _Processor:
    """The authors' preprocessing of one image, and the tokenizer."""

    pixels: Any
    tokens: Any


def load_image_reward(checkpoint: str, tokenizer: str, place: Place) -> Network:
    """Load the network with the authors' preprocessing.

    Raises:
        ObjectiveError: it is neither here nor can it be fetched, or is something else.
    """
    with found("checkpoint", checkpoint):
        # The constructor has seen the permission.
        parameters = read_parameters(
            _fetched(checkpoint, _file_in(Path(checkpoint).expanduser())), allow_pickle=True
        )
        settings = json.loads(_fetched(checkpoint, CONFIG).read_text("utf-8"))
        model = _made(parameters, settings)
    with found("tokenizer", tokenizer):
        tokens = _tokenizer(tokenizer, settings["vocab_size"])
    model.vision.to(place.torch_dtype)
    model.text.to(place.torch_dtype)
    side = vision_config(parameters).image_size
    return Network(model.eval().requires_grad_(False), _Processor(_pixels(side), tokens), place)


def _made(parameters: dict[str, Tensor], settings: dict[str, Any]) -> RewardModel:
    from transformers import BlipTextModel, BlipVisionModel

    seen = vision_config(parameters)
    # Parameters are drawn and at once overwritten; that must not move the global random state.
    with torch.random.fork_rng(devices=[]):
        vision = BlipVisionModel(seen)
        text = BlipTextModel(text_config(settings, seen.hidden_size), add_pooling_layer=False)
        head = linear_layers(text.config.hidden_size)
    fill(vision, vision_parameters(parameters))
    fill(text, text_parameters(parameters))
    fill(head, under("mlp.layers.", parameters))
    return RewardModel(vision, text, head)


def _file_in(folder: Path) -> str:
    """Return which file holds the parameters: safetensors where there are both."""
    safe, pickle = f"{STEM}.safetensors", f"{STEM}.pt"
    if not folder.is_dir():
        return pickle
    for name in (safe, pickle):
        if (folder / name).is_file():
            return name
    raise ObjectiveError(f"folder {folder} has neither {safe} nor {pickle}")


def _fetched(checkpoint: str, name: str) -> Path:
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        if not (folder / name).is_file():
            raise ObjectiveError(f"folder {folder} has no {name}")
        return folder / name
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(checkpoint, name))


def _tokenizer(name: str, vocabulary: int) -> Any:
    """Return BERT's tokenizer with BLIP's two tokens, and check that it fits the network."""
    from transformers import BertTokenizer

    _fetched(name, VOCABULARY)  # without it transformers makes an empty vocabulary
    tokens = BertTokenizer.from_pretrained(name)
    tokens.add_special_tokens({"bos_token": "[DEC]"})
    tokens.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
    if len(tokens) != vocabulary:
        raise ObjectiveError(
            f"tokenizer {name!r} has {len(tokens)} tokens with BLIP's two, the network "
            f"{vocabulary}: it needs the vocabulary of {TOKENIZER}"
        )
    return tokens


def _pixels(side: int) -> Any:
    from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor
    from torchvision.transforms.functional import InterpolationMode

    return Compose(
        [
            Resize(side, InterpolationMode.BICUBIC),
            CenterCrop(side),
            ToTensor(),
            Normalize(CLIP_MEAN, CLIP_STD),
        ]
    )
