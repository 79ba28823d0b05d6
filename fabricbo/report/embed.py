"""Images inside the page: each is re-encoded and stands in it once, as a CSS class."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from fabricbo.study.images import ImageStore

MAX_SIDE = 256
"""Larger images are shrunk to this many pixels."""
SMALL = 96
"""Up to this side an image is kept lossless and shown with hard pixels, where there is room."""
BUDGET = 3 * 2**20
"""Characters that all images of a page may take: with plotly's script it stays below 8 MB."""
_FEW = 12


@dataclass(frozen=True)
class _Level:
    """How images are encoded."""

    side: int
    """The longer one of larger images, in pixels."""
    quality: int
    """Of WebP."""
    lossless: bool = False
    """Whether small images lose nothing."""


_LEVELS = (
    _Level(MAX_SIDE, 85, lossless=True),
    _Level(MAX_SIDE, 85),
    _Level(224, 75),
    _Level(192, 70),
    _Level(160, 65),
    _Level(128, 60),
    _Level(96, 50),
    _Level(64, 40),
)
"""The best first; the first by which all images fit is taken."""


class EmbeddedImages:
    """Gives images names in the page and remembers which ones it needs."""

    def __init__(self, store: ImageStore, budget: int = BUDGET) -> None:
        """Begin a page.

        Args:
            store: where the study's images are.
            budget: characters that all may take; beyond it they lose size and quality, all alike.
        """
        self._store = store
        self._budget = budget
        self._images: dict[str, Image.Image] = {}
        self._shapes: dict[str, tuple[int, int]] = {}

    def name(self, identity: str) -> str:
        """Return the CSS class of a stored image; a damaged or missing one has a class of its own.

        A page about a study must not fail because of one file.
        """
        try:
            name = _class(identity)
            return name if name in self._images else self.add(identity, self._store.load(identity))
        except (OSError, ValueError):
            return "missing"

    def add(self, identity: str, image: Image.Image) -> str:
        """Return the CSS class of an image, embedding it if it is new."""
        name = _class(identity)
        if name not in self._images:
            copy = image.convert("RGB")
            copy.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
            copy.info.clear()
            self._images[name], self._shapes[name] = copy, image.size
        return name

    @property
    def css(self) -> str:
        """The rules of all images that were named."""
        uris = self._encoded()
        return "\n".join(self._rule(name, uri) for name, uri in uris.items())

    def _encoded(self) -> dict[str, str]:
        """Encode all images as well as the budget lets them be."""
        found: dict[str, str] = {}
        for level in _LEVELS:
            if self._guessed(level) > self._budget and level != _LEVELS[-1]:
                continue
            found = {name: _data_uri(image, level) for name, image in self._images.items()}
            if sum(map(len, found.values())) <= self._budget:
                break
        return found

    def _guessed(self, level: "_Level") -> float:
        """Guess from a few images how much all will take."""
        images = list(self._images.values())
        few = images[:: max(1, len(images) // _FEW)]
        total = sum(len(_data_uri(image, level)) for image in few)
        return total * len(images) / max(1, len(few))

    def _rule(self, name: str, uri: str) -> str:
        width, height = self._shapes[name]
        hard = "image-rendering:pixelated;" if max(width, height) <= SMALL else ""
        return f".{name}{{background-image:url({uri});aspect-ratio:{width}/{height};{hard}}}"


def _class(identity: str) -> str:
    return f"i{identity[:16]}"


def _data_uri(image: Image.Image, level: _Level) -> str:
    """Return an image as WebP."""
    copy, buffer = image.copy(), io.BytesIO()
    copy.thumbnail((level.side, level.side), Image.Resampling.LANCZOS)
    lossless = level.lossless and max(image.size) <= SMALL
    copy.save(buffer, "WEBP", lossless=lossless, quality=level.quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
