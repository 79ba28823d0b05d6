"""Painting estimates over a plane as a small image: bands of colour, paler where less is known."""

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

Grid = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]
"""Left, upper, right and lower border, in cells."""

_BANDS = 9
_PIXELS = 160
"""Side of the image."""
_PALEST = 0.25
"""Opacity where least is known."""
_WORST, _MIDDLE, _BEST = (63, 143, 210), (216, 214, 206), (228, 87, 46)


def painted(heights: Grid, errors: Grid, box: Box) -> str:
    """Return the image as a data URI: the better parts orange, the worse blue.

    Args:
        heights: 0 for the worst, 1 for the best; NaN where nothing can be, which stays empty.
        errors: standard errors, in any unit.
        box: the part of the grid to show.
    """
    impossible = np.isnan(heights)
    smooth = _enlarged(_filled(heights), Image.Resampling.BICUBIC, box)
    level = np.clip(np.floor(np.clip(smooth, 0, 1) * _BANDS), 0, _BANDS - 1) / (_BANDS - 1)
    doubt = _enlarged(_filled(errors), Image.Resampling.BICUBIC, box)
    least, most = float(doubt.min()), float(doubt.max())
    known = 1 - (doubt - least) / (most - least) if most > least else np.ones_like(doubt)
    # A few steps of opacity, too: the file stays small.
    opacity = _PALEST + (1 - _PALEST) * np.round(known * 6) / 6
    hidden = _enlarged(impossible.astype(np.float64), Image.Resampling.NEAREST, box) > 0.5
    colours = _blend(level)
    alpha = np.where(hidden, 0, opacity) * 255
    pixels = np.dstack([colours, alpha[..., None]]).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _filled(values: Grid) -> Grid:
    """Replace NaN by the nearest known value of its row, else the mean: it is hidden later."""
    found = values.copy()
    for row in found:
        known = np.flatnonzero(~np.isnan(row))
        if len(known):
            places = np.abs(np.arange(len(row))[:, None] - known).argmin(1)
            row[:] = row[known[places]]
    return np.nan_to_num(found, nan=float(np.nanmean(values)))


def _enlarged(values: Grid, how: Image.Resampling, box: Box) -> Grid:
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((_PIXELS, _PIXELS), how, box), dtype=np.float64)


def _blend(level: Grid) -> Grid:
    worst, middle, best = (
        np.array(colour, dtype=np.float64) for colour in (_WORST, _MIDDLE, _BEST)
    )
    share = level[..., None] * 2
    return np.where(
        share <= 1, worst + (middle - worst) * share, middle + (best - middle) * (share - 1)
    )
