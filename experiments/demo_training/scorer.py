"""Stage 3: an open_clip model for the same kind of pictures, so that objectives run offline."""

import json
import random
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from experiments.demo_data import SIZE
from experiments.demo_training.dataset import Pictures
from experiments.demo_training.judge import CLASSES
from experiments.demo_training.loop import Recipe, autocast, noise_like, train
from experiments.demo_training.tokens import LENGTH, new_tokenizer

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def model_config(vocabulary: int) -> dict[str, Any]:
    """Return open_clip's description of the architecture: a small vision transformer."""
    vision = {"image_size": SIZE, "patch_size": 8, "width": 128, "layers": 3, "head_width": 32}
    text = {
        "context_length": LENGTH,
        "vocab_size": vocabulary,
        "width": 96,
        "heads": 4,
        "layers": 2,
        "hf_tokenizer_name": "demo",  # the folder beside it is what is read
    }
    return {"embed_dim": 96, "vision_cfg": vision, "text_cfg": text}


def new_scorer(config: dict[str, Any]) -> nn.Module:
    """Make an open_clip model with seeded parameters."""
    import open_clip

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return open_clip.CLIP(**config)  # type: ignore[no-any-return]


def train_scorer(pictures: Pictures, folder: Path, minutes: float, batch: int = 128) -> nn.Module:
    """Learn contrastively, with open_clip's own loss, which caption belongs to which picture.

    Captions name everything, or leave out style or background; no two pictures of a batch show
    the same. A second term teaches that two pictures are as alike as they share attributes,
    which the first one leaves open.
    """
    from open_clip.loss import ClipLoss

    tokenizer = new_tokenizer(folder / "tokenizer")
    scorer = new_scorer(model_config(len(tokenizer))).to(pictures.device)
    clip_loss = ClipLoss()
    labels = torch.tensor(
        [[names.index(getattr(a, k)) for k, names in CLASSES.items()] for a in pictures.attributes]
    )

    def loss(generator: Generator) -> Tensor:
        indices = _distinct(pictures, batch, generator)
        rng = random.Random(int(indices.sum()))
        captions = [_caption(pictures, i, rng) for i in indices.tolist()]
        padded = tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True)
        images = augmented(pictures.batch(indices), generator)
        with autocast(images):
            out = scorer(images, torch.tensor(padded["input_ids"]).to(images.device))
        image, text, scale = (x.float() for x in out[:3])
        return clip_loss(image, text, scale) + 5 * kinship_loss(image, labels[indices].to(image))

    return train(scorer, loss, Recipe("scorer", minutes, 1e-3, ema=0.995), folder)


def kinship_loss(embedded: Tensor, labels: Tensor) -> Tensor:
    """Squared difference of cosine similarities and shares of equal attributes.

    Args:
        embedded: `batch features`, of length 1.
        labels: `batch 3`: concept, which counts half, style and background.
    """
    equal = (labels[:, None] == labels[None]).to(embedded)
    share = equal @ torch.tensor([0.5, 0.25, 0.25]).to(embedded)
    return (embedded @ embedded.T - share).square().mean()


def augmented(images: Tensor, generator: Generator) -> Tensor:
    """Add noise and blur at random: generated pictures are less crisp than rendered ones."""
    shape = (len(images), 1, 1, 1)
    level = 0.15 * torch.rand(shape, generator=generator).to(images.device)
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    mix = torch.rand(shape, generator=generator).to(images.device)
    return images.lerp(blurred, mix) + level * noise_like(images, generator)


def _distinct(pictures: Pictures, batch: int, generator: Generator) -> Tensor:
    """Draw pictures of which no two show the same."""
    chosen: dict[object, int] = {}
    while len(chosen) < batch:
        for index in torch.randint(len(pictures), (batch,), generator=generator).tolist():
            chosen.setdefault(pictures.attributes[index], index)
    return torch.tensor(list(chosen.values())[:batch])


def _caption(pictures: Pictures, index: int, rng: random.Random) -> str:
    text = pictures.attributes[index].caption()
    kind = rng.random()
    if kind < 0.15:
        return text.split(" on a ")[0]
    return text.split(", ")[0] if kind < 0.3 else text


def export_scorer(scorer: nn.Module, folder: Path) -> None:
    """Write open_clip's local folder format: configuration, safetensors and tokenizer."""
    from safetensors.torch import save_file

    tokenizer = new_tokenizer(folder / "source")
    tokenizer.save_pretrained(folder)
    for file in (folder / "source").iterdir():
        file.unlink()
    (folder / "source").rmdir()
    preprocess = {
        "mean": MEAN,
        "std": STD,
        "interpolation": "bicubic",
        "resize_mode": "squash",
    }
    description = {"model_cfg": model_config(len(tokenizer)), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(description, indent=1))
    state = {
        k: v.half().contiguous() for k, v in scorer.state_dict().items() if v.is_floating_point()
    }
    save_file(state, folder / "open_clip_model.safetensors")


def save_parameters(module: nn.Module, file: Path) -> None:
    """Write a network's parameters."""
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, file)


def quality(scorer: Any, pictures: Pictures, tokenizer: Any) -> dict[str, float]:
    """Measure retrieval of concepts by text, and order of similarity by style and background."""
    return {
        "concept_retrieval": retrieval(scorer, pictures, tokenizer),
        **{f"{a}_triplets": triplets(scorer, pictures, a) for a in ("style", "background")},
    }


@torch.no_grad()
def retrieval(scorer: Any, pictures: Pictures, tokenizer: Any) -> float:
    """Share of pictures whose concept, among all, fits best by text."""
    from experiments.demo_data import CONCEPTS

    captions = [f"{'an' if c[0] in 'aeiou' else 'a'} {c}" for c in CONCEPTS]
    padded = tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True)
    text = scorer.encode_text(torch.tensor(padded["input_ids"]), normalize=True)
    right = 0
    for chunk in torch.arange(len(pictures)).split(256):
        best = (scorer.encode_image(pictures.batch(chunk), normalize=True) @ text.T).argmax(1)
        shown = [pictures.attributes[i].concept for i in chunk.tolist()]
        right += sum(CONCEPTS[b] == s for b, s in zip(best.tolist(), shown, strict=True))
    return right / len(pictures)


@torch.no_grad()
def triplets(scorer: Any, pictures: Pictures, attribute: str, count: int = 2000) -> float:
    """Share of triplets in which the picture that shares an attribute is the more similar one.

    Anchor and both others show different concepts; the other two attributes are free.
    """
    chunks = torch.arange(len(pictures)).split(256)
    embedded = torch.cat(
        [scorer.encode_image(pictures.batch(chunk), normalize=True) for chunk in chunks]
    )
    rng = random.Random(0)
    right = total = 0
    while total < count:
        a, b, c = (rng.randrange(len(pictures)) for _ in range(3))
        shown = [pictures.attributes[i] for i in (a, b, c)]
        values = [getattr(s, attribute) for s in shown]
        others = [n for n in ("style", "background") if n != attribute]
        alike = all(getattr(shown[1], n) == getattr(shown[2], n) for n in others)
        if len({s.concept for s in shown}) == 3 and values[0] == values[1] != values[2] and alike:
            total += 1
            right += int(embedded[a] @ embedded[b] > embedded[a] @ embedded[c])
    return right / total
