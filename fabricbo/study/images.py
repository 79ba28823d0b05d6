"""Content-addressed image files: the name of a file is the identity of its pixels.

A file is whole before its identity is given out, so a row that names an image always finds it
whole. Files of images that were drawn say in their texts how; see `Origin`.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from PIL import Image

from fabricbo.imagefiles import decode_image, pixel_hash, to_rgb
from fabricbo.study.errors import ImagesGoneError
from fabricbo.study.origin import Origin, png_info
from fabricbo.study.places import LocalPlace, Place
from fabricbo.study.remote_place import LOCAL, RemotePlace

FOLDER = "images"
"""In a study's folder, unless it keeps them elsewhere."""
QUARANTINE = "quarantine"
"""Where damaged files go: in the study's folder or, where images lie elsewhere, beside them."""
_ABOUT = "README.txt"
_ABOUT_TEXT = (
    b"Images that fabricbo drew or was given, named by the hash of their pixels. Several studies\n"
    b"may share them; remove none that a study needs.\n"
)


class ImageStore:
    """Images by their identities, in some place."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def save(self, image: Image.Image, origin: Origin | None = None) -> str:
        """Write an image, unless it is there, and return its identity.

        Args:
            image: of any mode; RGB is kept.
            origin: how it was drawn, for the texts of its file; one that is there keeps its own.

        Raises:
            OSError: it cannot be written here.
            ImagesGoneError: the place does not answer, or refuses.
        """
        rgb = to_rgb(image)
        identity = pixel_hash(rgb)
        name = file_name(identity)
        if not self._place.has(name):
            known = None if origin is None else replace(origin, image=identity)
            self._place.write(name, _encoded(rgb, known))
        return identity

    def save_all(self, images: Sequence[Image.Image], told: Sequence[Origin]) -> tuple[str, ...]:
        """Write images, and return their identities.

        Args:
            images: of any mode.
            told: how each was drawn; where these are not as many, nobody knows which is which.
        """
        if len(told) != len(images):
            return tuple(self.save(image) for image in images)
        return tuple(self.save(image, origin) for image, origin in zip(images, told, strict=True))

    def put(self, identity: str, data: bytes) -> None:
        """Keep the file of an image as it is, whose pixels the caller has checked."""
        self._place.write(file_name(identity), data)

    def load(self, identity: str) -> Image.Image:
        """Read an image; nothing but its pixels.

        Raises:
            FileNotFoundError: no image with this identity.
            ValueError: the file is damaged.
            ImagesGoneError: the place does not answer.
        """
        return checked_image(self.read(identity), identity, self.text(identity))

    def read(self, identity: str) -> bytes:
        """Return the file of an image as it is, texts included, damaged or not.

        Raises:
            FileNotFoundError: no image with this identity.
            ValueError: it is larger than any image's.
            ImagesGoneError: the place does not answer.
        """
        return self._place.read(file_name(identity))

    def set_aside(self, identity: str) -> str:
        """Move a damaged file out of the way, and return where it is now."""
        return self._place.set_aside(file_name(identity))

    def text(self, identity: str) -> str:
        """Return where the file of an image lies, for messages."""
        return self._place.text(file_name(identity))

    def check(self) -> None:
        """Try whether files can be written and read: leaves one that says what lies here.

        Raises:
            SettingsError: a package is missing.
            ImagesGoneError: no.
        """
        try:
            self._place.has(file_name("0" * 32))
            self._place.write(_ABOUT, _ABOUT_TEXT)
            same = self._place.read(_ABOUT) == _ABOUT_TEXT
        except OSError as error:
            raise ImagesGoneError(f"images_at: {error}") from error
        if not same:
            raise ImagesGoneError(
                f"{self._place.text(_ABOUT)} does not hold what was written to it"
            )


def images_of(folder: Path, url: str | None) -> ImageStore:
    """Return the images of the study in a folder.

    Args:
        folder: the study's.
        url: where it keeps them, if not there; nothing is reached for yet.
    """
    if url is None:
        return ImageStore(LocalPlace(folder / FOLDER, folder / QUARANTINE))
    if urlsplit(url).scheme in LOCAL:
        return ImageStore(LocalPlace(Path(url2pathname(urlsplit(url).path))))
    return ImageStore(RemotePlace(url))


def file_name(identity: str) -> str:
    """Return what the file of an image is called, within its place."""
    return f"{identity[:2]}/{identity}.png"


def checked_image(data: bytes, identity: str, text: str) -> Image.Image:
    """Decode a file, and check that it holds the pixels that it should.

    Raises:
        ValueError: it does not, or is no image.
    """
    image = decode_image(data, text)
    if pixel_hash(image) != identity:
        raise ValueError(f"{text} does not hold the pixels its name stands for")
    return image


def _encoded(image: Image.Image, origin: Origin | None) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=None if origin is None else png_info(origin, image.size))
    return stream.getvalue()
