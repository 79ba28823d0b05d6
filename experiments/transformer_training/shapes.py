"""Drawings of 12 x 12 pixels, their captions, and a judge that measures what they show.

Six shapes in six colours on six backgrounds. A caption names the shape and, half of the time each,
colour and background; one time in ten it is empty. Captions are three tokens, whose embeddings are
fixed random vectors: what is to be learnt is the drawing, not the language.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Generator, Tensor

SIZE = 12
SHAPES = ("disc", "square", "triangle", "cross", "ring", "bars")
COLORS = {
    "red": (0.9, -0.7, -0.7),
    "green": (-0.7, 0.6, -0.7),
    "blue": (-0.7, -0.5, 0.9),
    "yellow": (0.9, 0.8, -0.8),
    "white": (0.9, 0.9, 0.9),
    "black": (-0.9, -0.9, -0.9),
}
GROUNDS = {
    "pink": (0.9, 0.2, 0.5),
    "cyan": (-0.5, 0.8, 0.9),
    "orange": (0.9, 0.1, -0.8),
    "gray": (0.0, 0.0, 0.0),
    "purple": (0.2, -0.7, 0.4),
    "olive": (0.0, 0.1, -0.8),
}
TEXT_CHANNELS = 32
_SHIFTS = (-1, 0, 1)


@dataclass(frozen=True)
class Shown:
    """What a drawing shows."""

    shape: str
    color: str
    ground: str


Caption = tuple[str, str, str]
"""Shape, colour and background; an empty word where one is not named."""


def every_combination() -> list[Shown]:
    """Return all shapes in all colours on all backgrounds."""
    return [Shown(s, c, g) for s in SHAPES for c in COLORS for g in GROUNDS]


def random_caption(shown: Shown, rng: random.Random) -> Caption:
    """Leave out colour and background half of the time each, and everything one time in ten."""
    if rng.random() < 0.1:
        return ("", "", "")
    color = shown.color if rng.random() < 0.5 else ""
    return (shown.shape, color, shown.ground if rng.random() < 0.5 else "")


@cache
def _vectors() -> dict[tuple[int, str], Tensor]:
    words = [("", *SHAPES), ("", *COLORS), ("", *GROUNDS)]
    every = [(place, word) for place, some in enumerate(words) for word in some]
    drawn = torch.randn(len(every), TEXT_CHANNELS, generator=Generator().manual_seed(5))
    return dict(zip(every, drawn, strict=True))


def embed(captions: Sequence[Caption]) -> tuple[Tensor, Tensor]:
    """Return embeddings, `captions 3 channels`, and their means."""
    rows = [torch.stack([_vectors()[place] for place in enumerate(words)]) for words in captions]
    return torch.stack(rows), torch.stack(rows).mean(1)


@cache
def _mask(shape: str, down: int, right: int) -> Tensor:
    """Return where a shape is, `12 12`, moved by some pixels."""
    at = torch.arange(SIZE) - (SIZE - 1) / 2
    y, x = (at - down)[:, None], (at - right)[None]
    far = (x.square() + y.square()).sqrt()
    inside = (x.abs() <= 4) & (y.abs() <= 4)
    return {
        "disc": far <= 4.2,
        "square": (x.abs() <= 3) & (y.abs() <= 3),
        "triangle": inside & (x.abs() <= (y + 4) / 2),
        "cross": inside & ((x.abs() <= 1) | (y.abs() <= 1)),
        "ring": (far <= 4.6) & (far >= 2.3),
        "bars": inside & ((x + 4).div(2, rounding_mode="floor") % 2 == 0),
    }[shape].float()


def draw(shown: Shown, generator: Generator) -> Tensor:
    """Draw a picture, `3 12 12` in about [-1, 1]: a little moved, its colours a little off."""
    down, right = (torch.randint(3, (2,), generator=generator) - 1).tolist()
    mask = _mask(shown.shape, down, right)
    off = 0.08 * torch.randn(2, 3, generator=generator)
    color, ground = (
        (torch.tensor(c) + o)[:, None, None]
        for c, o in zip((COLORS[shown.color], GROUNDS[shown.ground]), off, strict=True)
    )
    return mask * color + (1 - mask) * ground


def batch(size: int, generator: Generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Draw new pictures, and captions for them."""
    every = every_combination()
    chosen = [every[i] for i in torch.randint(len(every), (size,), generator=generator).tolist()]
    rng = random.Random(int(torch.randint(1 << 30, (1,), generator=generator)))
    pictures = torch.stack([draw(shown, generator) for shown in chosen])
    return pictures, embed([random_caption(shown, rng) for shown in chosen])


def judge(picture: Tensor) -> Shown:
    """Say what a picture shows: the ground nearest to its border, the drawing nearest to it."""
    border = torch.cat([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], dim=1)
    ground = _nearest(torch.tensor(list(GROUNDS.values())), border.mean(1))
    back = torch.tensor(list(GROUNDS.values())[ground])[:, None, None]
    named, masks, fronts = _candidates()
    best = named[_nearest(masks * fronts + (1 - masks) * back, picture)]
    return Shown(*best, list(GROUNDS)[ground])


def _nearest(several: Tensor, one: Tensor) -> int:
    return int((several - one).square().flatten(1).sum(1).argmin())


@cache
def _candidates() -> tuple[list[tuple[str, str]], Tensor, Tensor]:
    """Return every shape in every place and colour: what it is, where it is, its colour."""
    every = list(itertools.product(SHAPES, COLORS, _SHIFTS, _SHIFTS))
    masks = torch.stack([_mask(shape, down, right) for shape, _, down, right in every])
    fronts = torch.tensor([COLORS[color] for _, color, _, _ in every])
    return [(shape, color) for shape, color, _, _ in every], masks[:, None], fronts[..., None, None]
