"""Content-addressed image files: the name of a file is the identity of its pixels.

A file is written under a temporary name, synced and renamed before its identity is given
out, so a row that names an image always finds it whole.
"""

import os
from pathlib import Path

from PIL import Image

from fabricbo.imagefiles import open_image, pixel_hash, to_rgb


class ImageStore:
    """Images of one study, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, identity: str) -> Path:
        """Return where the image with this identity lies."""
        return self._folder / identity[:2] / f"{identity}.png"

    def save(self, image: Image.Image) -> str:
        """Write an image, unless it is there, and return its identity."""
        rgb = to_rgb(image)
        identity = pixel_hash(rgb)
        path = self.path(identity)
        if not path.exists():
            _write(rgb, path)
        return identity

    def load(self, identity: str) -> Image.Image:
        """Read an image.

        Raises:
            FileNotFoundError: no image with this identity.
            ValueError: the file is damaged.
        """
        image = open_image(self.path(identity))
        if pixel_hash(image) != identity:
            raise ValueError(f"{self.path(identity)} does not hold the pixels its name stands for")
        return image


def _write(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            image.save(file, "PNG")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself durable; Windows cannot open folders and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
