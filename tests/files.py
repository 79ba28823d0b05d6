"""The files of images, for tests that look into them or harm them."""

from pathlib import Path

from fabricbo.study import Study
from fabricbo.study.images import ImageStore


def file_of(where: Study | ImageStore, identity: str) -> Path:
    """Return the file of an image that lies on this machine."""
    images = where.images if isinstance(where, Study) else where
    return Path(images.text(identity))
