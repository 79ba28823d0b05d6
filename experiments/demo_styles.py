"""The styles of the training pictures: how a drawing becomes a layer of each."""

import io
from collections.abc import Callable, Mapping

from PIL import Image, ImageChops, ImageFilter, ImageOps

STYLE_SOURCES: Mapping[str, str] = {
    "3d": "fluent-emoji",
    "sticker": "noto",
    "sketch": "noto",
    "pixel": "fluent-emoji-flat",
    "monochrome": "noto",
    "gold": "fluent-emoji",
}
"""The package whose drawings each style starts from."""
MOSAIC = 16
"""Squares along each side of a picture in pixel style."""


def render(svg: str, size: int = 128, margin: int = 8) -> Image.Image:
    """Draw an icon in the middle of a transparent square."""
    import resvg_py

    inner = size - 2 * margin
    data = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=inner, height=inner))
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(Image.open(io.BytesIO(data)).convert("RGBA"), (margin, margin))
    return canvas


def mosaic(placed: Image.Image) -> Image.Image:
    """Coarsen a layer to squares that lie on the same grid in every picture."""
    small = placed.resize((MOSAIC, MOSAIC), Image.Resampling.BOX)
    small.putalpha(small.getchannel("A").point(lambda a: 255 if a > 110 else 0))
    return small.resize(placed.size, Image.Resampling.NEAREST)


def _grown(alpha: Image.Image, pixels: int) -> Image.Image:
    return alpha.filter(ImageFilter.MaxFilter(2 * pixels + 1))


def _filled(color: str, alpha: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", alpha.size, color)
    layer.putalpha(alpha)
    return layer


def _sticker(icon: Image.Image) -> Image.Image:
    alpha = icon.getchannel("A")
    line, rim = _filled("#26262e", _grown(alpha, 8)), _filled("white", _grown(alpha, 6))
    return Image.alpha_composite(Image.alpha_composite(line, rim), icon)


def _sketch(icon: Image.Image) -> Image.Image:
    """Ink lines where the picture has edges, on paper."""
    alpha = icon.getchannel("A").point(lambda a: 255 if a > 127 else 0)
    flat = Image.alpha_composite(Image.new("RGBA", icon.size, "white"), icon).convert("RGB")
    edges = [
        ImageChops.subtract(c.filter(ImageFilter.MaxFilter(5)), c.filter(ImageFilter.MinFilter(3)))
        for c in flat.filter(ImageFilter.GaussianBlur(1)).split()
    ]
    inner = ImageChops.lighter(ImageChops.lighter(edges[0], edges[1]), edges[2])
    inner = inner.point(lambda v: 255 if v > 75 else 0)
    outline = ImageChops.subtract(_grown(alpha, 2), alpha.filter(ImageFilter.MinFilter(3)))
    ink = ImageChops.lighter(ImageChops.darker(inner, alpha), outline)
    paper = _filled("#f7f0dc", alpha)
    return Image.alpha_composite(paper, _filled("#1c1c3c", ink))


def _tinted(icon: Image.Image, black: str, white: str, mid: str | None = None) -> Image.Image:
    on_grey = Image.alpha_composite(Image.new("RGBA", icon.size, "#808080"), icon)
    luminance = ImageOps.autocontrast(on_grey.convert("L"), cutoff=1)
    tinted = ImageOps.colorize(luminance, black, white, mid=mid).convert("RGBA")
    tinted.putalpha(icon.getchannel("A"))
    return tinted


def _as_it_is(icon: Image.Image) -> Image.Image:
    return icon


def _monochrome(icon: Image.Image) -> Image.Image:
    return _tinted(icon, "#101014", "#f4f4f6")


def _gold(icon: Image.Image) -> Image.Image:
    return _tinted(icon, "#4a2c00", "#fff3b0", "#e0a010")


DRAW: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "3d": _as_it_is,
    "sticker": _sticker,
    "sketch": _sketch,
    "pixel": _as_it_is,  # `mosaic` comes once the object is in its place
    "monochrome": _monochrome,
    "gold": _gold,
}
"""How the layer of each style is made from a drawing."""
