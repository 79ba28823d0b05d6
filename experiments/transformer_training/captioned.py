"""Drawings as latents and captions as embeddings, made once by the bundled checkpoint's parts."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.demo_data import (
    BACKGROUNDS,
    CONCEPTS,
    STYLES,
    Attributes,
    every_combination,
    random_caption,
)
from experiments.demo_training import dataset
from experiments.demo_training.tokens import LENGTH


@dataclass(frozen=True)
class Captions:
    """Embeddings of every caption there is, the empty one first."""

    rows: dict[str, int]
    embeds: Tensor
    """`captions tokens channels`."""
    pooled: Tensor
    """`captions channels`."""

    def of(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """Return embeddings and pooled embeddings."""
        rows = [self.rows[caption] for caption in captions]
        return self.embeds[rows], self.pooled[rows]


@dataclass(frozen=True)
class Captioned:
    """Latents of pictures, and what can be said of them."""

    latents: Tensor
    """`pictures channels rows columns`, scaled to unit standard deviation."""
    attributes: list[Attributes]
    captions: Captions

    def batch(
        self, size: int, generator: torch.Generator
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Draw pictures with replacement; a caption leaves out what `random_caption` leaves out."""
        indices = torch.randint(len(self.latents), (size,), generator=generator)
        rng = random.Random(int(indices.sum()) * 1009 + int(indices[0]))
        captions = [random_caption(self.attributes[i], rng) for i in indices.tolist()]
        return self.latents[indices].float(), self.captions.of(captions)


def every_caption() -> list[str]:
    """Return what `random_caption` can give, the empty one first."""
    article = {a.concept: a.caption().split(" on a ")[0] for a in every_combination()}
    grounds = ["", *(f" on a {name} background" for name in BACKGROUNDS)]
    styles = ["", *(f", {name} style" for name in STYLES)]
    return ["", *(article[c] + g + s for c in CONCEPTS for g in grounds for s in styles)]


@torch.no_grad()
def embed_captions(pipeline: Any) -> Captions:
    """Embed every caption with the bundled text encoder."""
    texts, embeds, pooled = every_caption(), [], []
    for start in range(0, len(texts), 256):
        some = texts[start : start + 256]
        ids = pipeline.tokenizer(
            some, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
        ).input_ids
        found = pipeline.text_encoder(ids)
        embeds.append(found.last_hidden_state)
        pooled.append(found.pooler_output)
    rows = {text: row for row, text in enumerate(texts)}
    return Captions(rows, torch.cat(embeds), torch.cat(pooled))


@torch.no_grad()
def encode(pipeline: Any, pictures: dataset.Pictures) -> Tensor:
    """Encode pictures with the bundled autoencoder."""
    scale = pipeline.vae.config.scaling_factor
    chunks = torch.arange(len(pictures)).split(256)
    return torch.cat([scale * pipeline.vae.encode(pictures.batch(c)).latents for c in chunks]).half()


def prepare(pipeline: Any, folder: Path, concepts: int) -> Captioned:
    """Open the training pictures of the first concepts; latents are kept in the folder."""
    pictures = dataset.load(folder, "training")
    file = folder / "demo_latents.pt"
    if not file.exists():
        torch.save(encode(pipeline, pictures), file)
    latents: Tensor = torch.load(file, weights_only=True)
    chosen = set(some_concepts(concepts))
    kept = [i for i, shown in enumerate(pictures.attributes) if shown.concept in chosen]
    return Captioned(
        latents[kept], [pictures.attributes[i] for i in kept], embed_captions(pipeline)
    )


def some_concepts(count: int) -> tuple[str, ...]:
    """Return so many concepts, of all kinds: animals, food, plants, things."""
    return CONCEPTS[:: max(1, len(CONCEPTS) // count)][:count]
