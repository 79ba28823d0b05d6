"""Cache of reference features.

The features of a reference depend on its pixels, the checkpoint, the scheduler, the
denoising step and the reference noise, and on nothing else: a study meets the same ones
in every image, trial and round. They stay on the device; the least recently used go first.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from fabricbo.sampler.surgery import Features

DEFAULT_CACHE_BYTES = 2 * 2**30


class FeatureCache:
    """Least-recently-used cache with a budget in bytes; belongs to one checkpoint."""

    def __init__(self, budget: int = DEFAULT_CACHE_BYTES) -> None:
        """Make an empty cache.

        Args:
            budget: bytes that may be held, at least 0; 0 keeps nothing.
        """
        if budget < 0:
            raise ValueError(f"the cache budget must be at least 0 bytes, got {budget}")
        self._budget = budget
        self._entries: OrderedDict[Hashable, Features] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable, compute: Callable[[], Features]) -> Features:
        """Return the features under `key`, computing them when they are not held."""
        if key in self._entries:
            self.hits += 1
            self._entries.move_to_end(key)
            return self._entries[key]
        self.misses += 1
        features = compute()
        self._keep(key, features)
        return features

    def _keep(self, key: Hashable, features: Features) -> None:
        size = _size(features)
        if size > self._budget:
            return
        while self._bytes + size > self._budget:
            _, dropped = self._entries.popitem(last=False)
            self._bytes -= _size(dropped)
        self._entries[key] = features
        self._bytes += size

    @property
    def bytes_held(self) -> int:
        """Bytes held at present, at most the budget."""
        return self._bytes


def _size(features: Features) -> int:
    return sum(layer.numel() * layer.element_size() for layer in features)
