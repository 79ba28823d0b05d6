"""Images by opaque names: made for one visitor, they tell nothing about files or trials."""

import hmac
import io
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

from PIL import Image

from fabricbo.study.images import ImageStore

KEPT = 256
"""Encoded images that are kept."""


class Pictures:
    """Encodes images anew, without what their files say about how they were made."""

    def __init__(self, images: ImageStore, secret: bytes) -> None:
        """Take the store, and a secret that names are made with."""
        self._secret = secret

        @lru_cache(maxsize=KEPT)
        def encoded(identity: str) -> bytes:
            stream = io.BytesIO()
            image = images.load(identity)
            Image.frombytes("RGB", image.size, image.tobytes()).save(stream, "PNG")
            return stream.getvalue()

        self._encoded = encoded

    def name(self, visitor: int, identity: str) -> str:
        """Return what an image is called for a visitor."""
        text = f"{visitor} {identity}".encode()
        return hmac.new(self._secret, text, sha256).hexdigest()[:32]

    def find(self, visitor: int, name: str, among: Iterable[str]) -> bytes | None:
        """Return an image as PNG, if this visitor may see it under this name."""
        asked = name.encode("utf-8", "replace")
        for identity in among:
            if hmac.compare_digest(self.name(visitor, identity).encode(), asked):
                return self._encoded(identity)
        return None
