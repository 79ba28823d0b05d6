"""Embeddings of images and texts by any open_clip model, loaded once and shared."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fabricbo import ObjectiveError
from fabricbo.demo import scorer_folder
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, in_batches

VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
"""Where a tokenizer's vocabulary is kept; without it transformers makes an empty one."""


class Embedder:
    """An open_clip model with its preprocessing and tokenizer."""

    def __init__(self, network: Network, tokenizer: Any) -> None:
        """Take a loaded model, whose `prepare` is open_clip's preprocessing of one image."""
        self._network = network
        self._tokenizer = tokenizer

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """Return unit vectors on the CPU, `images channels`."""
        place = self._network.place
        with self._network.at_work() as model:

            def embed(some: Sequence[Image.Image]) -> Tensor:
                pixels = torch.stack([self._network.prepare(to_rgb(image)) for image in some])
                encoded = model.encode_image(pixels.to(place.torch_device, place.torch_dtype))
                return F.normalize(encoded.float(), dim=-1)

            return in_batches(embed, images)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors on the CPU, `texts channels`."""
        tokens = self._tokenizer(list(texts)).to(self._network.place.torch_device)
        with self._network.at_work() as model:
            return F.normalize(model.encode_text(tokens).float(), dim=-1).cpu()

    @property
    def logit_scale(self) -> float:
        """What the model multiplies cosines with: the exponential of its learnt parameter."""
        return float(self._network.module.logit_scale.detach().float().exp())


def check_scorer(scorer: str) -> str:
    """Return the name that open_clip knows a scorer by, without loading it.

    Args:
        scorer: `demo`, `ARCHITECTURE/PRETRAINED` as open_clip lists them, `hf-hub:owner/name`,
            or a folder in open_clip's local format, with or without `local-dir:`.

    Raises:
        ObjectiveError: no such scorer, or a folder that lacks a file or whose parameters are
            not safetensors.
    """
    if not isinstance(scorer, str) or not scorer.strip():
        raise ObjectiveError(f"scorer must be a name or a folder, got {scorer!r}")
    if scorer == "demo":
        return _checked_folder(scorer_folder())
    if scorer.startswith("hf-hub:"):
        return _checked_repository(scorer)
    where = scorer.removeprefix("local-dir:")
    folder = Path(where).expanduser()
    if where and folder.is_dir():
        return _checked_folder(folder)
    if where != scorer or folder.is_absolute():
        raise ObjectiveError(f"scorer: there is no folder {where!r}")
    return _checked_name(scorer)


def _checked_repository(scorer: str) -> str:
    parts = scorer.removeprefix("hf-hub:").split("/")
    if len(parts) != 2 or not all(parts):
        raise ObjectiveError(f"scorer on the hub must be hf-hub:owner/name, got {scorer!r}")
    return scorer


def _checked_folder(folder: Path) -> str:
    for name in ("open_clip_config.json", "open_clip_model.safetensors"):
        if not (folder / name).is_file():
            raise ObjectiveError(f"scorer folder {folder} has no {name}")
    try:
        config = json.loads((folder / "open_clip_config.json").read_text("utf-8"))
        with_tokenizer = _has_tokenizer(config["model_cfg"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ObjectiveError(
            f"scorer folder {folder}: open_clip_config.json is not one of open_clip: {error!r}"
        ) from error
    if with_tokenizer and not any((folder / name).is_file() for name in VOCABULARIES):
        raise ObjectiveError(
            f"scorer folder {folder} has no vocabulary, expected one of {', '.join(VOCABULARIES)}"
        )
    return f"local-dir:{folder}"


def _has_tokenizer(config: Any) -> bool:
    """Tell whether a model has a tokenizer of transformers; the others use the one of CLIP."""
    return bool(config["text_cfg"].get("hf_tokenizer_name"))


def _checked_name(scorer: str) -> str:
    import open_clip

    known = ["/".join(pair) for pair in open_clip.list_pretrained()]
    if scorer not in known:
        names = {name.lower(): name for name in ("demo", *known)}
        close = [names[name] for name in get_close_matches(scorer.lower(), names)]
        near = ", ".join(close) or "open_clip.list_pretrained() has all"
        raise ObjectiveError(
            "scorer must be `demo`, ARCHITECTURE/PRETRAINED, hf-hub:owner/name or a folder, "
            f"got {scorer!r}; near it: {near}"
        )
    return scorer


def load_embedder(scorer: str, place: Place | None = None) -> Embedder:
    """Load an open_clip model; the same one every time it is asked for in the same place.

    Args:
        scorer: as `check_scorer` takes it.
        place: device and precision.

    Raises:
        ObjectiveError: no such scorer, or its files are neither here nor can they be fetched.
    """
    return _loaded(scorer, place or Place())


@cache
def _loaded(scorer: str, place: Place) -> Embedder:
    name = check_scorer(scorer)
    import open_clip

    architecture, pretrained = name, None
    if ":" not in name:
        architecture, pretrained = name.split("/")
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(
            architecture, pretrained=pretrained, device="cpu", weights_only=True
        )
        tokenizer = _tokenizer(architecture)
    except Exception as error:  # on files that are not as it expects, open_clip raises anything
        hint = (
            ". Without a network, use `demo`, a folder in open_clip's local format, or fetch it "
            "once into the cache of the hub"
        )
        raise ObjectiveError(
            f"scorer {scorer!r} cannot be loaded: {error}"
            + ("" if name.startswith("local-dir:") else hint)
        ) from error
    model = model.eval().requires_grad_(False).to(place.torch_dtype)
    return Embedder(Network(model, preprocess, place), tokenizer)


def _tokenizer(architecture: str) -> Any:
    """Make a tokenizer; one from a folder or the hub must not bring code of its own.

    open_clip hands `tokenizer_kwargs` of the configuration on to transformers, and among them
    `trust_remote_code`; only what the caller says goes before it.
    """
    import open_clip

    foreign = ":" in architecture
    if foreign and _has_tokenizer(open_clip.get_model_config(architecture)):
        return open_clip.get_tokenizer(architecture, trust_remote_code=False)
    return open_clip.get_tokenizer(architecture)
