"""Target images: what somebody wants the drawn ones to be like."""

from pathlib import Path

from PIL import Image

from fabricbo import ObjectiveError
from fabricbo.imagefiles import SUFFIXES, image_files, open_image


def open_targets(target: str) -> list[Image.Image]:
    """Open the image, or the images of a folder, that a target names.

    Raises:
        ObjectiveError: no such file, a folder without images, or one that cannot be read.
    """
    try:
        return [open_image(file) for file in _image_files(target)]
    except (OSError, TypeError, ValueError) as error:
        raise ObjectiveError(f"target: {error}") from error


def _image_files(target: str) -> list[Path]:
    path = Path(target).expanduser()
    if not path.is_dir():
        return [path]
    files = image_files(path)
    if not files:
        raise ValueError(f"folder {path} has no images: expected {', '.join(sorted(SUFFIXES))}")
    return files
