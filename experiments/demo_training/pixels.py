"""Images to tensors, and to grids."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_tensor(images: Sequence[Image.Image]) -> Tensor:
    """Return images of one size as `batch 3 rows columns` in [-1, 1]."""
    levels = torch.from_numpy(np.stack([np.asarray(image.convert("RGB")) for image in images]))
    return levels.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def grid(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """Lay images of one size on a grid, row by row."""
    width, height = images[0].size
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * width, index // columns * height))
    return sheet
