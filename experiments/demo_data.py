"""Training pictures of the bundled checkpoint: emoji art in six styles on plain backgrounds.

    python -m experiments.demo_data --folder .demo_training   # fetch, draw, save a contact sheet

Sources are npm packages of SVG icons: `@iconify-json/noto` (Apache-2.0),
`@iconify-json/fluent-emoji` and `@iconify-json/fluent-emoji-flat` (MIT). They are fetched with
`npm pack`, checked against pinned versions and drawn with resvg; nothing of them is shipped.
"""

import argparse
import json
import math
import random
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

SIZE = 64
PACKAGES = {
    "noto": "@iconify-json/noto@1.2.9",
    "fluent-emoji": "@iconify-json/fluent-emoji@1.2.7",
    "fluent-emoji-flat": "@iconify-json/fluent-emoji-flat@1.2.6",
}
ICONS: Mapping[str, str] = {
    "cat": "cat-face",
    "dog": "dog-face",
    "fox": "fox",
    "bear": "bear",
    "rabbit": "rabbit-face",
    "frog": "frog",
    "penguin": "penguin",
    "fish": "tropical-fish",
    "turtle": "turtle",
    "butterfly": "butterfly",
    "octopus": "octopus",
    "apple": "red-apple",
    "strawberry": "strawberry",
    "banana": "banana",
    "donut": "doughnut",
    "pizza": "pizza",
    "mushroom": "mushroom",
    "tulip": "tulip",
    "cactus": "cactus",
    "car": "automobile",
    "sailboat": "sailboat",
    "rocket": "rocket",
    "house": "house",
    "heart": "red-heart",
    "star": "star",
    "umbrella": "umbrella",
    "guitar": "guitar",
    "crown": "crown",
}
CONCEPTS = tuple(ICONS)
STYLES = ("3d", "sticker", "sketch", "pixel", "monochrome", "gold")
BACKGROUNDS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 72, 66),
    "orange": (244, 152, 60),
    "yellow": (248, 218, 92),
    "green": (92, 182, 96),
    "blue": (76, 134, 224),
    "purple": (146, 100, 200),
    "pink": (246, 164, 196),
    "gray": (168, 172, 178),
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a picture shows."""

    concept: str
    style: str
    background: str

    def caption(self) -> str:
        """Name everything."""
        article = "an" if self.concept[0] in "aeiou" else "a"
        return f"{article} {self.concept} on a {self.background} background, {self.style} style"


def random_caption(attributes: Attributes, rng: random.Random) -> str:
    """Leave out style and background half of the time each, and everything one time in ten."""
    if rng.random() < 0.1:
        return ""
    text = attributes.caption().split(" on a ")[0]
    if rng.random() < 0.5:
        text += f" on a {attributes.background} background"
    return text + (f", {attributes.style} style" if rng.random() < 0.5 else "")


def every_combination() -> list[Attributes]:
    """Return all concepts in all styles on all backgrounds."""
    return [Attributes(c, s, b) for c in CONCEPTS for s in STYLES for b in BACKGROUNDS]


def fetch_icons(folder: Path) -> dict[str, dict[str, str]]:
    """Fetch the pinned packages when missing; returns SVG text by package and concept."""
    icons = {}
    for name, package in PACKAGES.items():
        file = folder / "icons" / f"{name}.json"
        if not file.exists():
            _pack(package, file)
        icons[name] = _svgs(json.loads(file.read_text()))
    return icons


def _pack(package: str, file: Path) -> None:
    """Keep of a package only the icons that are used."""
    file.parent.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", "--silent", "--pack-destination", str(file.parent), package]
    archive = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    with tarfile.open(file.parent / archive) as tar:
        member = tar.extractfile("package/icons.json")
        if member is None:
            raise FileNotFoundError(f"{package} holds no icons.json")
        data = json.load(member)
    wanted = {name: data["icons"][name] for name in ICONS.values()}
    kept = {"width": data.get("width"), "height": data.get("height"), "icons": wanted}
    file.write_text(json.dumps(kept))
    (file.parent / archive).unlink()


def stand_in_icons(folder: Path) -> None:
    """Write simple shapes where the packages' icons would lie, for runs without a network."""
    (folder / "icons").mkdir(parents=True, exist_ok=True)
    shapes = {icon: {"body": _shape(number)} for number, icon in enumerate(ICONS.values())}
    for name in PACKAGES:
        file = folder / "icons" / f"{name}.json"
        file.write_text(json.dumps({"width": 32, "height": 32, "icons": shapes}))


def _shape(number: int) -> str:
    """Return a star whose points, depth and colour depend on a number."""
    points, depth, hue = 3 + number % 7, 4 + number % 4 * 3, 37 * number % 360
    corners = [
        (16 + r * math.cos(a), 16 + r * math.sin(a))
        for a, r in ((math.pi * k / points, (depth, 15)[k % 2]) for k in range(2 * points))
    ]
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y in corners)
    return f'<polygon points="{path}" fill="hsl({hue}, 80%, 50%)"/>'


def _svgs(data: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    result = {}
    for concept, name in ICONS.items():
        icon = data["icons"][name]
        width, height = (icon.get(side) or data[side] for side in ("width", "height"))
        result[concept] = (
            f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width} {height}">'
            f"{icon['body']}</svg>"
        )
    return result


def draw_layers(folder: Path) -> dict[tuple[str, str], Image.Image]:
    """Draw each concept in each style as an RGBA layer of 128 x 128."""
    icons = fetch_icons(folder)
    layers = {}
    for concept in CONCEPTS:
        noto, fluent, flat = (_render(icons[name][concept]) for name in PACKAGES)
        layers.update(
            {
                (concept, "3d"): fluent,
                (concept, "sticker"): _sticker(noto),
                (concept, "sketch"): _sketch(noto),
                (concept, "pixel"): _pixel(flat),
                (concept, "monochrome"): _tinted(noto, "#101014", "#f4f4f6"),
                (concept, "gold"): _tinted(fluent, "#4a2c00", "#fff3b0", "#e0a010"),
            }
        )
    return layers


def _render(svg: str, size: int = 128, margin: int = 8) -> Image.Image:
    import io

    import resvg_py

    inner = size - 2 * margin
    data = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=inner, height=inner))
    canvas = Image.new("RGBA", (size, size))
    canvas.paste(Image.open(io.BytesIO(data)).convert("RGBA"), (margin, margin))
    return canvas


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


def _pixel(icon: Image.Image) -> Image.Image:
    small = icon.resize((16, 16), Image.Resampling.BOX)
    hard = small.getchannel("A").point(lambda a: 255 if a > 110 else 0)
    small.putalpha(hard)
    return small.resize(icon.size, Image.Resampling.NEAREST)


def _tinted(icon: Image.Image, black: str, white: str, mid: str | None = None) -> Image.Image:
    on_grey = Image.alpha_composite(Image.new("RGBA", icon.size, "#808080"), icon)
    luminance = ImageOps.autocontrast(on_grey.convert("L"), cutoff=1)
    tinted = ImageOps.colorize(luminance, black, white, mid=mid).convert("RGBA")
    tinted.putalpha(icon.getchannel("A"))
    return tinted


def compose(
    layer: Image.Image, attributes: Attributes, rng: random.Random, *, jitter: bool = True
) -> Image.Image:
    """Lay an object on its background, a little shifted, scaled and perhaps mirrored."""
    amount = 1.0 if jitter else 0.0
    colour = tuple(
        min(255, max(0, round(c + amount * rng.uniform(-10, 10))))
        for c in BACKGROUNDS[attributes.background]
    )
    picture = Image.new("RGB", layer.size, colour)
    if jitter and rng.random() < 0.5:
        layer = ImageOps.mirror(layer)
    side = round(layer.width * (1 + amount * rng.uniform(-0.12, 0.06)))
    scaled = layer.resize((side, side), Image.Resampling.BILINEAR)
    at = tuple((layer.width - side) // 2 + round(amount * rng.uniform(-6, 6)) for _ in range(2))
    picture.paste(scaled, at, scaled)
    box = Image.Resampling.BOX
    return picture.resize((SIZE, SIZE), box)


def pictures(folder: Path, count: int, seed: int) -> Iterator[tuple[Attributes, np.ndarray]]:
    """Draw combinations in random order, each about equally often."""
    layers = draw_layers(folder)
    rng = random.Random(seed)
    plan = every_combination() * -(-count // len(every_combination()))
    rng.shuffle(plan)
    for attributes in plan[:count]:
        layer = layers[attributes.concept, attributes.style]
        yield attributes, np.asarray(compose(layer, attributes, rng))


REFERENCES: Mapping[str, tuple[str, ...]] = {
    "references": (
        *("cat-sketch-green", "cat-gold-blue", "fox-monochrome-yellow", "rocket-pixel-purple"),
        *("dog-3d-pink", "penguin-sticker-orange", "bear-gold-purple", "rabbit-sketch-pink"),
        *("frog-monochrome-red", "turtle-3d-blue", "butterfly-sticker-gray", "octopus-gold-green"),
        *("strawberry-pixel-yellow", "donut-sketch-orange", "mushroom-sticker-blue"),
        "tulip-gold-gray",
    ),
    "pool": (
        *("house-sketch-purple", "star-sketch-yellow", "apple-3d-green", "car-sticker-green"),
        *("heart-gold-red", "crown-gold-orange", "guitar-monochrome-pink", "fish-3d-orange"),
    ),
}
"""Pictures that are shipped, by folder; named `concept-style-background`."""
_NOTO = {"source": "Noto Emoji", "package": "@iconify-json/noto", "licence": "Apache-2.0"}
_FLUENT = {"source": "Fluent Emoji", "package": "@iconify-json/fluent-emoji", "licence": "MIT"}
_FLAT = {**_FLUENT, "package": "@iconify-json/fluent-emoji-flat"}
SOURCES: Mapping[str, Mapping[str, str]] = {
    "3d": _FLUENT,
    "sticker": _NOTO,
    "sketch": _NOTO,
    "pixel": _FLAT,
    "monochrome": _NOTO,
    "gold": _FLUENT,
}
"""Where the drawing of each style comes from."""


def contact_sheet(folder: Path, seed: int = 0) -> Image.Image:
    """Show each concept once in each style."""
    layers = draw_layers(folder)
    rng = random.Random(seed)
    sheet = Image.new("RGB", (SIZE * len(CONCEPTS), SIZE * len(STYLES)))
    for column, concept in enumerate(CONCEPTS):
        for row, style in enumerate(STYLES):
            attributes = Attributes(concept, style, rng.choice(list(BACKGROUNDS)))
            tile = compose(layers[concept, style], attributes, rng)
            sheet.paste(tile, (column * SIZE, row * SIZE))
    return sheet


def main() -> None:
    """Draw a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".demo_training"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    contact_sheet(folder).save(folder / "contact_sheet.png")
    print(folder / "contact_sheet.png")


if __name__ == "__main__":
    main()
