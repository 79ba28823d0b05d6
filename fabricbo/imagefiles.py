"""Images from outside: opened with caps, known by their pixels.

A file is untrusted until its header has been read: its size on disk and the size it
claims are checked before a single pixel is decoded.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

MAX_BYTES = 64 * 2**20
"""Largest file that is opened, in bytes."""
MAX_PIXELS = 64 * 10**6
"""Largest image that is decoded, width times height."""
MAX_TEXT = 2**20
"""Longest text of a PNG file that is read, in characters."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What is decoded, whatever a file's name says; some of Pillow's others start programs."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


class TooLargeError(ValueError):
    """An image file above `MAX_BYTES`, or an image above `MAX_PIXELS`."""


def image_files(folder: Path) -> list[Path]:
    """Return the files of a folder whose names are those of images, in order of their names."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def open_image(path: Path) -> Image.Image:
    """Read an image file as RGB; transparency is laid on white, rotation tags are applied.

    Raises:
        ValueError: no readable image, or one above `MAX_BYTES` or `MAX_PIXELS`.
        FileNotFoundError: no such file.
    """
    return decode_image(read_file(path), str(path))


def read_file(path: Path) -> bytes:
    """Read a file that should be an image.

    Raises:
        TooLargeError: it has more than `MAX_BYTES`.
        FileNotFoundError: no such file.
    """
    check_bytes(path.stat().st_size, str(path))
    return path.read_bytes()


def check_bytes(size: int, name: str) -> None:
    """Check the size of a file before it is read.

    Raises:
        TooLargeError: it has more than `MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise TooLargeError(f"{name} has {size} bytes; at most {MAX_BYTES} are read")


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode an image held in memory, with the same caps as `open_image`.

    What the file says about itself stays behind, but for its colour profile.

    Raises:
        ValueError: no readable image, or one above `MAX_PIXELS`.
    """
    with _opened(data, name) as image:
        rgb = to_rgb(ImageOps.exif_transpose(image))
    profile = rgb.info.get("icc_profile")
    rgb.info = {} if profile is None else {"icc_profile": profile}
    return rgb


def png_texts(data: bytes, name: str) -> dict[str, str]:
    """Return the texts of a PNG file held in memory, by their keys; none of other formats.

    Raises:
        ValueError: no readable image, one above `MAX_PIXELS`, or a text above `MAX_TEXT`.
    """
    with _opened(data, name) as image:
        # Texts may come behind the pixels, so that these are decoded for them, too.
        texts = dict(image.text) if isinstance(image, PngImageFile) else {}
    for key, text in texts.items():
        if len(text) > MAX_TEXT:
            raise TooLargeError(
                f"{name}: the text {key[:40]!r} has {len(text)} characters; at most {MAX_TEXT} "
                "are read"
            )
    return {key: str(text) for key, text in texts.items()}


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """Open an image, its size checked; whatever is wrong with it becomes a `ValueError`."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image, name)
            yield image
    except TooLargeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLargeError(
            f"{name} claims to be too large; at most {MAX_PIXELS} pixels are decoded: {error}"
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is no readable image: expected {', '.join(FORMATS)}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{name} is no readable image: {error}") from error


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise TooLargeError(
            f"{name} is {image.width} x {image.height} pixels; at most {MAX_PIXELS} are decoded"
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a new RGB image; transparent parts become white, 16 bits of grey become 8."""
    if image.mode.startswith("I;16"):
        # Pillow would clip them, which leaves next to nothing but white.
        image = image.convert("I").point(lambda grey: grey / 257).convert("L")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def pixel_hash(image: Image.Image) -> str:
    """Return the identity of an image: 128 bits of SHA-256 over its size and RGB pixels, as hex."""
    rgb = to_rgb(image)
    digest = hashlib.sha256(f"RGB {rgb.width} {rgb.height}\n".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()[:32]
