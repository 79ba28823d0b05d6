"""Likeness to the colours of a target image: how many of each, or which few."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.stats import wasserstein_distance_nd

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb
from objectives.targets import open_targets

BINS = 8
"""A channel."""
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@objective(
    name="histogram-similarity",
    card=Card(
        scale="share of pixels, 0 to 1",
        source="Swain and Ballard, Color indexing (1991): histogram intersection, 8 x 8 x 8 RGB",
        licence="this project",
    ),
)
class HistogramSimilarity:
    """Intersection of the colour histograms of an image and of a target; maximized.

    1 when every colour takes the same share of both. With several targets, the mean.
    """

    def __init__(self, target: str) -> None:
        """Open the target, or the targets of a folder.

        Raises:
            ObjectiveError: the target cannot be read.
        """
        self._targets = [_histogram(image) for image in open_targets(target)]

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one share an image."""
        found = [_histogram(image) for image in images]
        return [float(np.mean([np.minimum(h, t).sum() for t in self._targets])) for h in found]


@objective(
    name="palette-distance",
    direction="minimize",
    card=Card(
        scale="earth mover's distance in OKLab, 0 to about 1",
        source="Rubner et al. (2000); Ottosson, OKLab (2020); palettes by median cut",
        licence="this project; scipy: BSD-3-Clause",
    ),
)
class PaletteDistance:
    """How far the main colours of an image are from those of a target; minimized.

    Each image becomes its few main colours with their shares; the distance is the least average
    way, in OKLab, that colour has to be moved to turn one palette into the other. Unlike the
    histogram it knows that orange is near red. With several targets, the mean.
    """

    def __init__(self, target: str, colours: int = 6) -> None:
        """Open the target, or the targets of a folder.

        Args:
            target: path of an image, or of a folder of images.
            colours: how many a palette has, 1 to 32.

        Raises:
            ObjectiveError: the target cannot be read, or another number of colours.
        """
        if isinstance(colours, bool) or not isinstance(colours, int) or not 1 <= colours <= 32:
            raise ObjectiveError(f"colours must be a whole number from 1 to 32, got {colours!r}")
        self._colours = colours
        self._targets = [_palette(image, colours) for image in open_targets(target)]

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one distance an image."""
        found = [_palette(image, self._colours) for image in images]
        return [float(np.mean([_moved(one, target) for target in self._targets])) for one in found]


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Return colours in OKLab (Ottosson 2020), `n x 3`, of sRGB values in [0, 255], `n x 3`."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    lab: np.ndarray = np.cbrt(linear @ _TO_LMS.T) @ _TO_OKLAB.T
    return lab


def _histogram(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(to_rgb(image), dtype=np.int64).reshape(-1, 3) * BINS // 256
    flat = (pixels[:, 0] * BINS + pixels[:, 1]) * BINS + pixels[:, 2]
    counts: np.ndarray = np.bincount(flat, minlength=BINS**3) / len(flat)
    return counts


def _palette(image: Image.Image, colours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return colours in OKLab and their shares."""
    reduced = to_rgb(image).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1)
    counted = reduced.convert("RGB").getcolors(maxcolors=256) or []
    shares = np.array([count for count, _ in counted], dtype=np.float64)
    return oklab(np.array([colour for _, colour in counted], dtype=np.float64)), shares


def _moved(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    return float(wasserstein_distance_nd(one[0], other[0], one[1], other[1]))
