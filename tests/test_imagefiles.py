"""Images from outside: refused before they are decoded, known by their pixels."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from fabricbo import imagefiles
from fabricbo.imagefiles import decode_image, open_image, pixel_hash, to_rgb

RNG = np.random.default_rng(0)
PICTURE = Image.fromarray(RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8))
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """Make a PNG of a few bytes whose header claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize(
    ("width", "height"),
    [(60_000, 60_000), (10_000, 10_000), (8_001, 8_000)],
    ids=["a bomb to Pillow", "a warning to Pillow", "above our cap only"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_huge_image_is_refused_by_its_header(tmp_path: Path, monkeypatch, width, height) -> None:
    def decode(*_args) -> None:
        raise AssertionError("decoded before its size was checked")

    monkeypatch.setattr(Image.Image, "convert", decode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    file = tmp_path / "huge.png"
    file.write_bytes(png_that_claims(width, height))
    with pytest.raises(
        ValueError, match=r"huge\.png (is 10000 x|is 8001 x|claims to be too large)"
    ):
        open_image(file)


def test_warnings_as_errors_change_no_message() -> None:
    with pytest.raises(ValueError, match=r"a\.png claims to be too large"):
        decode_image_strictly(png_that_claims(10_000, 10_000))


def decode_image_strictly(data: bytes) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode_image(data, "a.png")


def test_large_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(encoded(PICTURE))
    monkeypatch.setattr(imagefiles, "MAX_BYTES", 100)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    with pytest.raises(
        ValueError, match=rf"large\.png has {file.stat().st_size} bytes; at most 100"
    ):
        open_image(file)


def test_image_at_the_cap_is_read(monkeypatch) -> None:
    monkeypatch.setattr(imagefiles, "MAX_PIXELS", PICTURE.width * PICTURE.height)
    assert decode_image(encoded(PICTURE), "a.png").size == PICTURE.size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"This is no image.\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(PICTURE)[:60],
        encoded(PICTURE)[:-30],
        encoded(PICTURE, "JPEG")[:300],
        encoded(PICTURE)[:8] + b"\x00\x00\x00\x04IHDR\x00\x00\x00\x01" + b"\x00" * 20,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        encoded(PICTURE, "PPM"),
    ],
    ids=["empty", "text", "svg", "png head", "png", "jpeg", "png header", "postscript", "ppm"],
)
def test_unreadable_image_is_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "odd.png"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"odd\.png is no readable image: ") as caught:
        open_image(file)
    assert " at 0x" not in str(caught.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "none.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_image_is_read_or_refused_by_name(kind: str) -> None:
    whole = encoded(PICTURE, kind)

    @example(place=0, byte=0, length=len(whole))
    @given(
        place=st.integers(0, len(whole) - 1),
        byte=st.integers(0, 255),
        length=st.integers(0, len(whole)),
    )
    def check(place: int, byte: int, length: int) -> None:
        damaged = bytearray(whole)
        damaged[place] = byte
        try:
            assert decode_image(bytes(damaged[:length]), "a file").mode == "RGB"
        except ValueError as error:
            assert str(error).startswith("a file ")

    check()


GREY = Image.fromarray(np.arange(0, 250, 10, dtype=np.uint8).reshape(5, 5))


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (Image.new("RGBA", (2, 2), (255, 0, 0, 255)), "PNG", (255, 0, 0)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 51)), "PNG", (204, 204, 204)),
        (Image.new("LA", (2, 2), (10, 0)), "PNG", (255, 255, 255)),
        (Image.new("LA", (2, 2), (10, 255)), "PNG", (10, 10, 10)),
        (Image.new("L", (2, 2), 77), "PNG", (77, 77, 77)),
        (Image.new("1", (2, 2), 1), "PNG", (255, 255, 255)),
        (Image.new("I;16", (2, 2), 77 * 257), "PNG", (77, 77, 77)),
        (Image.new("I;16", (2, 2), 65535), "TIFF", (255, 255, 255)),
        (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("RGB", (2, 2), (1, 2, 3)), "PNG", (1, 2, 3)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode_becomes_rgb(image, kind, expected) -> None:
    found = decode_image(encoded(image, kind), "a file")
    assert (found.mode, found.size, found.getpixel((0, 0))) == ("RGB", (2, 2), expected)


def test_sixteen_bits_of_grey_keep_their_shades() -> None:
    shades = np.asarray(GREY, dtype=np.uint16) * 257
    found = decode_image(encoded(Image.fromarray(shades)), "a file")
    assert np.array_equal(np.asarray(found)[..., 0], np.asarray(GREY))


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_transparent_colour_becomes_white(mode: str) -> None:
    image = Image.new(mode, (2, 1))
    if mode == "P":
        image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), {"P": 1, "L": 200, "RGB": (0, 0, 255)}[mode])
    transparent = (0, 0, 0) if mode == "RGB" else 0
    found = decode_image(encoded(image, transparency=transparent), "a file")
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((1, 0)) == ((200, 200, 200) if mode == "L" else (0, 0, 255))


@pytest.mark.parametrize(
    ("tag", "undo"),
    [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_270),
        (8, Image.Transpose.ROTATE_90),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_rotation_tag_is_applied(kind: str, tag: int, undo) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    found = decode_image(encoded(PICTURE, kind, exif=exif, **LOSSLESS[kind]), "a file")
    assert pixel_hash(found) == pixel_hash(PICTURE.transpose(undo))


def test_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data, "a file").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_hash_does_not_depend_on_format_and_metadata(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    options = {} if kind == "BMP" else {"exif": exif}
    found = decode_image(encoded(PICTURE, kind, **options, **LOSSLESS[kind]), "a file")
    assert pixel_hash(found) == pixel_hash(PICTURE)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "CMYK"])
def test_hash_is_that_of_the_rgb_pixels(mode: str) -> None:
    image = PICTURE.convert(mode)
    assert pixel_hash(image) == pixel_hash(to_rgb(image))


@given(st.integers(0, 11), st.integers(0, 8), st.integers(0, 2), st.integers(1, 255))
def test_hash_notices_one_pixel(x: int, y: int, channel: int, change: int) -> None:
    pixels = np.array(PICTURE)
    pixels[y, x, channel] ^= change
    assert pixel_hash(Image.fromarray(pixels)) != pixel_hash(PICTURE)


def test_hash_notices_the_shape() -> None:
    flat = Image.frombytes("RGB", (PICTURE.height, PICTURE.width), PICTURE.tobytes())
    assert pixel_hash(flat) != pixel_hash(PICTURE)


def test_hash_is_short_hex_and_stays_what_it_is() -> None:
    # Stores keep it: if this changes, studies written earlier lose their images.
    assert pixel_hash(Image.new("RGB", (2, 1), "red")) == "531e3a924604bfa2533fdaa72710e039"


def test_to_rgb_leaves_its_argument_alone() -> None:
    image = PICTURE.copy()
    found = to_rgb(image)
    found.putpixel((0, 0), (0, 0, 0))
    assert pixel_hash(image) == pixel_hash(PICTURE)
