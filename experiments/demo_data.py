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
from PIL import Image, ImageOps

from experiments.demo_styles import DRAW, STYLE_SOURCES, mosaic, render
from fabricbo.demo.tasks import TASKS

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
    "panda": "panda",
    "pig": "pig-face",
    "mouse": "mouse-face",
    "lion": "lion",
    "rabbit": "rabbit-face",
    "frog": "frog",
    "owl": "owl",
    "penguin": "penguin",
    "whale": "whale",
    "fish": "tropical-fish",
    "turtle": "turtle",
    "butterfly": "butterfly",
    "ghost": "ghost",
    "robot": "robot",
    "apple": "red-apple",
    "strawberry": "strawberry",
    "banana": "banana",
    "watermelon": "watermelon",
    "avocado": "avocado",
    "donut": "doughnut",
    "pizza": "pizza",
    "cupcake": "cupcake",
    "mushroom": "mushroom",
    "tulip": "tulip",
    "sunflower": "sunflower",
    "cactus": "cactus",
    "tree": "evergreen-tree",
    "pumpkin": "jack-o-lantern",
    "car": "automobile",
    "bus": "bus",
    "sailboat": "sailboat",
    "rocket": "rocket",
    "balloon": "balloon",
    "house": "house",
    "heart": "red-heart",
    "star": "star",
    "moon": "crescent-moon",
    "umbrella": "umbrella",
    "crown": "crown",
    "diamond": "gem-stone",
    "bell": "bell",
    "gift": "wrapped-gift",
    "teapot": "teapot",
    "anchor": "anchor",
}
CONCEPTS = tuple(ICONS)
STYLES = tuple(STYLE_SOURCES)
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
        drawings = {name: render(icons[name][concept]) for name in PACKAGES}
        for style in STYLES:
            drawing = drawings[STYLE_SOURCES[style]]
            layers[concept, style] = DRAW[style](drawing)
    return layers


def compose(
    layer: Image.Image, attributes: Attributes, rng: random.Random, *, jitter: bool = True
) -> Image.Image:
    """Lay an object on its background, a little shifted, scaled and perhaps mirrored."""
    amount = 1.0 if jitter else 0.0
    colour = tuple(
        min(255, max(0, round(c + amount * rng.uniform(-8, 8))))
        for c in BACKGROUNDS[attributes.background]
    )
    if jitter and rng.random() < 0.5:
        layer = ImageOps.mirror(layer)
    side = round(layer.width * (1 + amount * rng.uniform(-0.10, 0.05)))
    scaled = layer.resize((side, side), Image.Resampling.BILINEAR)
    at = tuple((layer.width - side) // 2 + 2 * round(amount * rng.uniform(-2, 2)) for _ in range(2))
    placed = Image.new("RGBA", layer.size)
    placed.paste(scaled, at)
    if attributes.style == "pixel":
        placed = mosaic(placed)
    picture = Image.new("RGB", layer.size, colour)
    picture.paste(placed, mask=placed)
    return picture.resize((SIZE, SIZE), Image.Resampling.BOX)


def pictures(folder: Path, count: int, seed: int) -> Iterator[tuple[Attributes, np.ndarray]]:
    """Draw combinations in random order, each about equally often."""
    layers = draw_layers(folder)
    rng = random.Random(seed)
    plan = every_combination() * -(-count // len(every_combination()))
    rng.shuffle(plan)
    for attributes in plan[:count]:
        layer = layers[attributes.concept, attributes.style]
        yield attributes, np.asarray(compose(layer, attributes, rng))


_REFERENCES = (
    *("cat-gold-blue", "rocket-pixel-purple", "dog-3d-pink", "penguin-sticker-orange"),
    *("bear-gold-purple", "rabbit-sketch-pink", "frog-monochrome-red", "turtle-3d-blue"),
    *("butterfly-sticker-gray", "panda-gold-green", "strawberry-pixel-yellow"),
    *("donut-sketch-orange", "mushroom-sticker-blue", "tulip-gold-gray"),
)


def bundled_pictures() -> dict[str, tuple[str, ...]]:
    """Return the pictures that are shipped, by folder; named `concept-style-background`."""
    targets = tuple(task.target for task in TASKS.values())
    pools = {f"pools/{name}": task.pool for name, task in TASKS.items()}
    return {"references": (*targets, *_REFERENCES), **pools}


SOURCES: Mapping[str, Mapping[str, str]] = {
    "noto": {"source": "Noto Emoji", "licence": "Apache-2.0"},
    "fluent-emoji": {"source": "Fluent Emoji", "licence": "MIT"},
    "fluent-emoji-flat": {"source": "Fluent Emoji", "licence": "MIT"},
}
"""Whose drawings a package holds."""


def source(style: str) -> dict[str, str]:
    """Return where the drawings of a style come from."""
    name = STYLE_SOURCES[style]
    return {**SOURCES[name], "package": PACKAGES[name].rpartition("@")[0]}


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
