"""Embeddings of images and texts by any open_clip model, loaded once and shared."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fabricbo import ObjectiveError
from fabricbo.demo import scorer_folder
from fabricbo.torchvision_compat import ensure_importable

ensure_importable()  # before anything imports open_clip

BATCH = 64


class Embedder:
    """An open_clip model with its preprocessing and tokenizer."""

    def __init__(self, model: Any, preprocess: Any, tokenizer: Any, device: str) -> None:
        self._model = model
        self._preprocess = preprocess
        self._tokenizer = tokenizer
        self._device = device

    @torch.no_grad()
    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """Return unit vectors on the CPU, `images channels`."""
        chunks = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
        return torch.cat([self._embed(chunk) for chunk in chunks])

    def _embed(self, images: Sequence[Image.Image]) -> Tensor:
        pixels = torch.stack([self._preprocess(image.convert("RGB")) for image in images])
        return F.normalize(self._model.encode_image(pixels.to(self._device)).float(), dim=-1).cpu()

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors on the CPU, `texts channels`."""
        tokens = self._tokenizer(list(texts)).to(self._device)
        return F.normalize(self._model.encode_text(tokens).float(), dim=-1).cpu()


def check_scorer(scorer: str) -> str:
    """Return the name that open_clip knows a scorer by, without loading it.

    Args:
        scorer: `demo`, `ARCHITECTURE/PRETRAINED` as open_clip lists them, `hf-hub:owner/name`,
            or a folder in open_clip's local format.

    Raises:
        ObjectiveError: no such scorer, or a folder whose parameters are not safetensors.
    """
    if scorer == "demo":
        return f"local-dir:{scorer_folder()}"
    folder = Path(scorer.removeprefix("local-dir:")).expanduser()
    if folder.is_dir():
        return _checked_folder(folder)
    if scorer.startswith("hf-hub:"):
        return scorer
    return _checked_name(scorer)


def _checked_folder(folder: Path) -> str:
    for name in ("open_clip_config.json", "open_clip_model.safetensors"):
        if not (folder / name).is_file():
            raise ObjectiveError(f"scorer folder {folder} has no {name}")
    return f"local-dir:{folder}"


def _checked_name(scorer: str) -> str:
    import open_clip

    known = ["/".join(pair) for pair in open_clip.list_pretrained()]
    if scorer not in known:
        near = ", ".join(get_close_matches(scorer, known)) or "open_clip.list_pretrained() has all"
        raise ObjectiveError(
            "scorer must be `demo`, ARCHITECTURE/PRETRAINED, hf-hub:owner/name or a folder, "
            f"got {scorer!r}; near it: {near}"
        )
    return scorer


@lru_cache(maxsize=2)
def load_embedder(scorer: str) -> Embedder:
    """Load an open_clip model in float32, on the GPU if there is one; the same one every time.

    Args:
        scorer: as `check_scorer` takes it.

    Raises:
        ObjectiveError: no such scorer, or its files are neither here nor can they be fetched.
    """
    name = check_scorer(scorer)
    import open_clip

    architecture, pretrained = name, None
    if ":" not in name:
        architecture, pretrained = name.split("/")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(
            architecture, pretrained=pretrained, device=device
        )
        tokenizer = open_clip.get_tokenizer(architecture)
    except (OSError, RuntimeError) as error:
        raise ObjectiveError(
            f"scorer {scorer!r} cannot be loaded: {error}. Without a network, use `demo`, a folder "
            "in open_clip's local format, or fetch it once into the cache of the hub"
        ) from error
    return Embedder(model.eval(), preprocess, tokenizer, device)
