"""Previews in a file that is replaced again and again, for any program that shows images."""

import logging
import time
from pathlib import Path

from PIL import Image

from fabricbo.sampler.previews import Preview

SECONDS = 1.0
"""Between two files; what is drawn in less is not shown."""

_log = logging.getLogger(__name__)


class PreviewFile:
    """Writes a preview, images side by side, into a file (PNG, JPEG, by its suffix)."""

    def __init__(self, file: Path, seconds: float = SECONDS) -> None:
        """Write at most every so many seconds."""
        self._file = file
        self._seconds = seconds
        self._written = -seconds

    def __call__(self, preview: Preview) -> None:
        """Write a preview if it is time; a disk that refuses is no reason to stop drawing."""
        if time.monotonic() - self._written < self._seconds:
            return
        half = self._file.with_name(f".{self._file.name}")
        try:
            side_by_side(preview.images).save(half)
            half.replace(self._file)  # who looks meanwhile sees a whole one
        except OSError as error:
            _log.warning("no preview in %s: %s", self._file, error)
        self._written = time.monotonic()


def side_by_side(images: tuple[Image.Image, ...]) -> Image.Image:
    """Return images of one size in a row."""
    width, height = images[0].size
    row = Image.new("RGB", (width * len(images), height))
    for place, image in enumerate(images):
        row.paste(image, (place * width, 0))
    return row
