"""Reading the first pool from a folder."""

from pathlib import Path

from fabricbo.imagefiles import SUFFIXES, open_image, pixel_hash
from fabricbo.records import Reference, Role
from fabricbo.space import MAX_POOL

_SUBFOLDERS = {"": Role.LIKED, "liked": Role.LIKED, "disliked": Role.DISLIKED}


def read_pool(folder: Path) -> tuple[Reference, ...]:
    """Read the images of a folder, and of `liked/` and `disliked/` in it, in order of their names.

    Raises:
        ValueError: no such folder, no image in it, too many of them, the same pixels twice, or
            an image that cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"pool.folder: no folder {folder}")
    files = [(file, role) for name, role in _SUBFOLDERS.items() for file in _images(folder / name)]
    if not files:
        raise ValueError(f"pool.folder: no image in {folder}")
    if len(files) > MAX_POOL:
        raise ValueError(f"pool.folder: {len(files)} images in {folder}; at most {MAX_POOL}")
    return tuple(_reference(file, role) for file, role in files)


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def _reference(file: Path, role: Role) -> Reference:
    try:
        image = open_image(file)
    except (ValueError, OSError) as error:  # a folder or a broken link by the name of an image
        raise ValueError(f"pool.folder: {error}") from error
    return Reference(pixel_hash(image), file.stem, image, role)
