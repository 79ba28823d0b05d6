"""Signs of burnt images, a known failure of strong feedback: harsh, oversaturated, clipped."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import laplace

from fabricbo import Card, objective
from fabricbo.imagefiles import to_rgb

LUMA = np.array([0.2126, 0.7152, 0.0722])
"""ITU-R BT.709."""


@objective(
    card=Card(
        scale="0 (flat) to several thousand (noise), of 8-bit luma",
        source="Pech-Pacheco et al. (2000): variance of the Laplacian",
        licence="this project; scipy: BSD-3-Clause",
    )
)
def sharpness(images: Sequence[Image.Image], _prompt: str) -> list[float]:
    """Score by the variance of the Laplacian of the luma; depends on the size of the image."""
    return [float(laplace(_pixels(image) @ LUMA, mode="nearest").var()) for image in images]


@objective(
    card=Card(
        scale="0 (grey) to 1 (pure colours)",
        source="mean saturation of HSV, Smith (1978)",
        licence="this project",
    )
)
def saturation(images: Sequence[Image.Image], _prompt: str) -> list[float]:
    """Score by the mean saturation: (max - min) / max of the channels, 0 for black."""
    return [_saturation(_pixels(image)) for image in images]


@objective(
    direction="minimize",
    card=Card(
        scale="share of pixels, 0 to 1",
        source="share of pixels with a channel at 0 or 255",
        licence="this project",
    ),
)
def clipping(images: Sequence[Image.Image], _prompt: str) -> list[float]:
    """Score by the share of pixels that have lost detail at an end of a channel; minimized.

    Flat drawings clip on purpose: compare with the hand settings, or bound it.
    """
    return [
        float(((_pixels(image) <= 0) | (_pixels(image) >= 255)).any(axis=-1).mean())
        for image in images
    ]


def _saturation(pixels: np.ndarray) -> float:
    high, low = pixels.max(axis=-1), pixels.min(axis=-1)
    return float(np.divide(high - low, high, out=np.zeros_like(high), where=high > 0).mean())


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(to_rgb(image), dtype=np.float64)
