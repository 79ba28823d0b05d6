"""Stage 4: the judge, a classifier of concept, style and background.

It is of another architecture than anything that draws or scores, and is used by tests and
reports only, never by a search.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from experiments.demo_data import BACKGROUNDS, CONCEPTS, STYLES, Attributes
from experiments.demo_training.dataset import Pictures
from experiments.demo_training.loop import Recipe, noise_like, train

CLASSES = {"concept": CONCEPTS, "style": STYLES, "background": tuple(BACKGROUNDS)}


class Judge(nn.Module):
    """A small convolutional network with one head for each attribute."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        sizes = [3, width, 2 * width, 3 * width, 4 * width]
        self.body = nn.Sequential(*(_block(a, b) for a, b in itertools.pairwise(sizes)))
        features = sizes[-1] * 16
        self.heads = nn.ModuleDict({k: nn.Linear(features, len(v)) for k, v in CLASSES.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return logits for each attribute; images are `batch 3 64 64` in [-1, 1]."""
        features = self.body(images).flatten(1)
        return {name: head(features) for name, head in self.heads.items()}


def _block(inputs: int, outputs: int) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(convolution, nn.GroupNorm(4, outputs), nn.SiLU(), nn.MaxPool2d(2))


def train_judge(pictures: Pictures, folder: Path, minutes: float, batch: int = 64) -> nn.Module:
    """Learn to name what pictures show."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = Judge().to(pictures.device)
    targets = {
        name: torch.tensor([values.index(getattr(a, name)) for a in pictures.attributes]).to(
            pictures.device
        )
        for name, values in CLASSES.items()
    }

    def loss(generator: Generator) -> Tensor:
        indices, images = pictures.random_batch(batch, generator)
        # Drawn pictures are a little blurred and noisy compared with rendered ones.
        noise = noise_like(images, generator)
        level = 0.15 * torch.rand(batch, 1, 1, 1, generator=generator).to(images.device)
        if torch.rand((), generator=generator) < 0.5:
            images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
        logits = judge(images + level * noise)
        losses = [F.cross_entropy(logits[n], t[indices]) for n, t in targets.items()]
        return torch.stack(losses).sum()

    return train(judge, loss, Recipe("judge", minutes, 2e-3, ema=0.99), folder)


@torch.no_grad()
def name_attributes(judge: nn.Module, images: Tensor) -> list[Attributes]:
    """Say what pictures show; `batch 3 64 64` in [-1, 1]."""
    logits = judge(images)
    best = {name: logits[name].argmax(1).tolist() for name in CLASSES}
    return [
        Attributes(**{name: CLASSES[name][best[name][i]] for name in CLASSES})
        for i in range(len(images))
    ]


def accuracy(judge: nn.Module, pictures: Pictures) -> dict[str, float]:
    """Return the share of pictures named right, by attribute."""
    chunks = torch.arange(len(pictures)).split(256)
    named = [a for c in chunks for a in name_attributes(judge, pictures.batch(c))]
    return shares(named, pictures.attributes)


def shares(named: Sequence[Attributes], wanted: Sequence[Attributes]) -> dict[str, float]:
    """Return the share of pictures whose attribute is the wanted one, by attribute."""
    pairs = list(zip(named, wanted, strict=True))
    return {k: sum(getattr(a, k) == getattr(b, k) for a, b in pairs) / len(pairs) for k in CLASSES}
