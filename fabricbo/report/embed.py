"""Images inside the page: each is re-encoded and stands in it once, as a CSS class."""

import base64
import io

from PIL import Image

from fabricbo.study.images import ImageStore

MAX_SIDE = 256
"""Larger images are shrunk to this many pixels."""
SMALL = 96
"""Up to this side an image is kept lossless and shown with hard pixels."""


class EmbeddedImages:
    """Gives images names in the page and remembers which ones it needs."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._rules: dict[str, str] = {}

    def name(self, identity: str) -> str:
        """Return the CSS class of a stored image; a damaged or missing one has a class of its own.

        A page about a study must not fail because of one file.
        """
        try:
            return self.add(identity, self._store.load(identity))
        except (OSError, ValueError):
            return "missing"

    def add(self, identity: str, image: Image.Image) -> str:
        """Return the CSS class of an image, embedding it if it is new."""
        name = f"i{identity[:16]}"
        if name not in self._rules:
            shape = f"aspect-ratio:{image.width}/{image.height};"
            hard = "image-rendering:pixelated;" if max(image.size) <= SMALL else ""
            self._rules[name] = f".{name}{{background-image:url({_data_uri(image)});{shape}{hard}}}"
        return name

    @property
    def css(self) -> str:
        """The rules of all images that were named."""
        return "\n".join(self._rules.values())


def _data_uri(image: Image.Image) -> str:
    copy, buffer = image.copy(), io.BytesIO()
    copy.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    copy.info.clear()
    if max(copy.size) <= SMALL:
        copy.save(buffer, "PNG", optimize=True)
    else:
        copy.save(buffer, "WEBP", quality=85)
    kind = "png" if max(copy.size) <= SMALL else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
