"""Images from outside: opened with caps, known by their pixels.

A file is untrusted until its header has been read: its size on disk and the size it
claims are checked before a single pixel is decoded.
"""

import hashlib
import io
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

MAX_BYTES = 64 * 2**20
"""Largest file that is opened, in bytes."""
MAX_PIXELS = 64 * 10**6
"""Largest image that is decoded, width times height."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


def open_image(path: Path) -> Image.Image:
    """Read an image file as RGB; transparency is laid on white, rotation tags are applied.

    Raises:
        ValueError: no readable image, or one above `MAX_BYTES` or `MAX_PIXELS`.
        FileNotFoundError: no such file.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path} has {size} bytes; at most {MAX_BYTES} are read")
    return decode_image(path.read_bytes(), str(path))


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode an image held in memory, with the same caps as `open_image`.

    Raises:
        ValueError: no readable image, or one above `MAX_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(
                    f"{name} is {width} x {height} pixels; at most {MAX_PIXELS} are decoded"
                )
            return to_rgb(ImageOps.exif_transpose(image))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} claims to be too large: {error}") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{name} is no readable image: {error}") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a new RGB image; transparent parts become white."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def pixel_hash(image: Image.Image) -> str:
    """Return the identity of an image: 128 bits of SHA-256 over its size and RGB pixels, as hex."""
    rgb = image if image.mode == "RGB" else to_rgb(image)
    digest = hashlib.sha256(f"RGB {rgb.width} {rgb.height}\n".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()[:32]
