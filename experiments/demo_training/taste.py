"""Stage 6: a preference scorer that learnt a taste from pairs, as PickScore learnt that of people.

The taste is written down here: it prefers pictures that show what the prompt names, some styles
and backgrounds over others, and sharp ones over blurred ones. The scorer never sees it, only
which picture of a pair was chosen.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from experiments.demo_data import SIZE, Attributes
from experiments.demo_training.dataset import Pictures
from experiments.demo_training.loop import Recipe, autocast, noise_like, train
from experiments.demo_training.scorer import MEAN, STD
from experiments.demo_training.tokens import LENGTH, new_tokenizer

STYLE_TASTE: Mapping[str, float] = {
    "sticker": 1.0,
    "gold": 0.8,
    "3d": 0.6,
    "monochrome": 0.4,
    "sketch": 0.2,
    "pixel": 0.0,
}
BACKGROUND_TASTE: Mapping[str, float] = {
    "blue": 0.7,
    "purple": 0.6,
    "green": 0.5,
    "yellow": 0.4,
    "pink": 0.3,
    "orange": 0.2,
    "red": 0.1,
    "gray": 0.0,
}
SHARPNESS_TASTE = 0.8
"""How much better a sharp picture is than a fully blurred one."""
PROMPT_TASTE = 1.5
"""How much better a picture is that shows the object of the prompt."""
NOISE = 0.15
"""Scale of the logistic noise in the choices, in units of the taste."""


def taste(shown: Attributes, sharpness: float, concept: str) -> float:
    """Return how well a picture is liked.

    Args:
        shown: what the picture shows.
        sharpness: 1 as drawn, 0 fully blurred.
        concept: the object that the prompt names.
    """
    return (
        STYLE_TASTE[shown.style]
        + BACKGROUND_TASTE[shown.background]
        + SHARPNESS_TASTE * sharpness
        + PROMPT_TASTE * (shown.concept == concept)
    )


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures, each with a prompt."""

    prompts: list[str]
    images: Tensor
    """`2 batch 3 64 64`, in [-1, 1]."""
    tastes: Tensor
    """`2 batch`."""


def draw_pairs(pictures: Pictures, count: int, generator: Generator) -> Pairs:
    """Draw pairs; both pictures show what the prompt names in half of them, one in the others."""
    rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
    by_concept: dict[str, list[int]] = {}
    for index, shown in enumerate(pictures.attributes):
        by_concept.setdefault(shown.concept, []).append(index)
    concepts = [rng.choice(list(by_concept)) for _ in range(count)]
    first = [rng.choice(by_concept[c]) for c in concepts]
    same = [rng.random() < 0.5 for _ in concepts]
    second = [
        rng.choice(by_concept[c]) if s else rng.randrange(len(pictures))
        for c, s in zip(concepts, same, strict=True)
    ]
    sharpness = torch.rand(2, count, generator=generator)
    images = [
        blurred(pictures.batch(torch.tensor(indices)), 1 - level)
        for indices, level in zip((first, second), sharpness, strict=True)
    ]
    tastes = [
        [
            taste(pictures.attributes[i], float(s), c)
            for i, s, c in zip(indices, level, concepts, strict=True)
        ]
        for indices, level in zip((first, second), sharpness, strict=True)
    ]
    prompts = [f"{'an' if c[0] in 'aeiou' else 'a'} {c}" for c in concepts]
    return Pairs(prompts, torch.stack(images), torch.tensor(tastes))


def blurred(images: Tensor, amount: Tensor) -> Tensor:
    """Mix pictures with their blurred selves; `amount` is one share in [0, 1] for each."""
    soft = images
    for _ in range(2):
        soft = F.avg_pool2d(F.pad(soft, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return images.lerp(soft, amount.to(images).view(-1, 1, 1, 1))


def new_preference_scorer(vocabulary: int, tokenizer: Any) -> nn.Module:
    """Make transformers' CLIP with seeded parameters."""
    from transformers import CLIPConfig, CLIPModel

    vision = {
        "image_size": SIZE,
        "patch_size": 8,
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
    }
    text = {
        "vocab_size": vocabulary,
        "max_position_embeddings": LENGTH,
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CLIPModel(config)


def train_preference_scorer(
    pictures: Pictures, folder: Path, minutes: float, batch: int = 64
) -> nn.Module:
    """Learn which picture of a pair is chosen, by PickScore's loss (arXiv 2305.01569, section 3).

    PickScore began with a CLIP that knew images and texts; this one begins with nothing, so a
    contrastive term over the pictures that show what their prompt names teaches it that too.
    """
    tokenizer = new_tokenizer(folder / "tokenizer")
    model = new_preference_scorer(len(tokenizer), tokenizer).to(pictures.device)

    def loss(generator: Generator) -> Tensor:
        pairs = draw_pairs(pictures, batch, generator)
        images = pairs.images.flatten(0, 1)
        images = images + 0.05 * noise_like(images, generator)
        tokens = tokenize(tokenizer, pairs.prompts).to(images.device)
        with autocast(images):
            image, text = embed(model, images, tokens)
        image, text = image.float(), text.float()
        scale = model.logit_scale.exp()  # type: ignore[operator]
        logits = scale * (image.unflatten(0, (2, batch)) * text).sum(-1)
        chosen = ((pairs.tastes[0] - pairs.tastes[1]) / NOISE).sigmoid()
        chosen = torch.bernoulli(chosen, generator=generator).to(images)
        preference = F.binary_cross_entropy_with_logits(logits[0] - logits[1], chosen)
        return preference + 0.5 * matching(scale * image[:batch] @ text.T, tokens)

    return train(model, loss, Recipe("preference", minutes, 1e-3, ema=0.995), folder)


def matching(logits: Tensor, tokens: Tensor) -> Tensor:
    """Cross entropy of which prompts of a batch a picture belongs to; equal prompts share."""
    equal = (tokens[:, None] == tokens[None]).all(-1).to(logits)
    target = equal / equal.sum(1, keepdim=True)
    return F.cross_entropy(logits, target)


def tokenize(tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """Return token numbers, `batch length`."""
    padded = tokenizer(list(prompts), padding="max_length", max_length=LENGTH, truncation=True)
    return torch.tensor(padded["input_ids"])


def embed(model: Any, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return unit vectors of images and texts."""
    image = model.get_image_features(pixel_values=images).pooler_output
    text = model.get_text_features(input_ids=tokens).pooler_output
    return F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)


@torch.no_grad()
def agreement(model: Any, pictures: Pictures, tokenizer: Any, count: int = 2048) -> float:
    """Share of pairs in which the scorer prefers the picture that the taste prefers."""
    pairs = draw_pairs(pictures, count, Generator().manual_seed(1))
    right = 0.0
    for rows in torch.arange(count).split(128):
        tokens = tokenize(tokenizer, [pairs.prompts[i] for i in rows.tolist()])
        image, text = embed(model, pairs.images[:, rows].flatten(0, 1), tokens)
        scores = (image.unflatten(0, (2, len(rows))) * text).sum(-1)
        right += ((scores[0] > scores[1]) == (pairs.tastes[0] > pairs.tastes[1])[rows]).sum().item()
    return right / count


def export_preference_scorer(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the layout of PickScore's repository: a CLIP model in half precision, its processor."""
    from transformers import CLIPImageProcessor, CLIPProcessor

    model.half().save_pretrained(folder)
    images = CLIPImageProcessor(
        size={"shortest_edge": SIZE},
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=list(MEAN),
        image_std=list(STD),
    )
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
