"""Colour of an image: examples of objectives in a few lines."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from fabricbo import Card, objective
from fabricbo.imagefiles import to_rgb


@objective(
    card=Card(
        scale="0 (grey) to above 100",
        source="Hasler and Süsstrunk (2003), metric M3",
        licence="this project",
    )
)
def colourfulness(images: Sequence[Image.Image], _prompt: str) -> list[float]:
    """Score by colourfulness, 0 for grey, above 100 for very colourful pictures.

    Hasler and Süsstrunk, "Measuring colourfulness in natural images" (2003), metric M3: spread
    and mean of the opponent colours red-green and yellow-blue.
    """
    return [_hasler_suesstrunk(image) for image in images]


@objective(card=Card(scale="0 to 1", source="mean luma, ITU-R BT.709", licence="this project"))
def brightness(images: Sequence[Image.Image], _prompt: str) -> list[float]:
    """Score by mean luma in [0, 1], with the coefficients of ITU-R BT.709."""
    luma = np.array([0.2126, 0.7152, 0.0722])
    return [float((_pixels(image) @ luma).mean() / 255) for image in images]


def _hasler_suesstrunk(image: Image.Image) -> float:
    red, green, blue = np.moveaxis(_pixels(image), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(to_rgb(image), dtype=np.float64)
