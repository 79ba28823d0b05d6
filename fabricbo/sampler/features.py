"""Cache of reference features.

The features of a reference depend on its pixels, the checkpoint, the scheduler, the
denoising step and the reference noise, and on nothing else: a study meets the same ones
in every image, trial and round. They are kept on the device first, then in the memory of the
host, from where they are fetched a step ahead; what fits nowhere is computed anew.

A run meets its references step after step, so where they do not all fit, dropping the least
recently used would drop each just before it is needed again. What the present run or the one before
has used is therefore never dropped for something new: the share of the features that fits is found,
run after run.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import psutil
import torch
from torch import Tensor

from fabricbo.sampler.surgery import Features

_SHARES = {"cuda": 0.5, "cpu": 0.25}
"""Of the memory that is free when the first features come; others work in a host's memory, too."""


class FeatureKey(NamedTuple):
    """Tells the features of a reference at a denoising step from all others."""

    reference: str
    """Its identity."""
    step: int
    """Denoising step, from 0."""
    rest: Hashable
    """Schedule, size, noise."""


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How often features were found."""

    hits: int = 0
    """On the device."""
    fetched: int = 0
    """In the memory of the host."""
    misses: int = 0
    """Computed."""

    def __add__(self, other: "CacheUse") -> "CacheUse":
        return CacheUse(
            self.hits + other.hits, self.fetched + other.fetched, self.misses + other.misses
        )


class FeatureCache:
    """Cache with a budget in bytes on the device and one on its host; belongs to one checkpoint."""

    def __init__(self, budget: int | None = None, host_budget: int | None = None) -> None:
        """Make an empty cache.

        Args:
            budget: bytes that may be held on the device, at least 0; 0 keeps nothing there. None
                takes half of a GPU's memory that is free when the first features come, a quarter
                of a host's.
            host_budget: the same in the host's memory, for features from a GPU; on a CPU there
                is one memory only, the device's.

        Raises:
            ValueError: a budget is negative.
        """
        for given in (budget, host_budget):
            if given is not None:
                _check_budget(given)
        self._device = _Tier(budget)
        self._host = _Tier(host_budget)
        self._place = torch.device("cpu")
        self._run = 0
        self._coming: dict[FeatureKey, _Copy] = {}
        self._new: set[FeatureKey] = set()
        """Those that nobody has asked for yet."""
        self.use = CacheUse()

    def resize(self, budget: int) -> None:
        """Have another budget on the device from now on; what is above it leaves, oldest first.

        Raises:
            ValueError: it is negative.
        """
        _check_budget(budget)
        self._device.budget = budget
        self._move_to_host(self._device.trim(0, self._place))

    def begin_run(self) -> None:
        """Say that another run of denoising steps begins."""
        self._run += 1

    def get(self, key: FeatureKey, compute: Callable[[], Features]) -> Features:
        """Return the features under `key`, computing them when they are not held."""
        coming = self._coming.pop(key, None)
        is_new = key in self._new
        self._new.discard(key)
        if (found := self._device.find(key, self._run)) is not None:
            self.use += CacheUse(misses=1) if is_new else CacheUse(hits=1)
        elif (there := self._host.find(key, self._run)) is not None:
            self.use += CacheUse(fetched=1)
            found = (coming or _Copy.of(there, self._place)).arrived()
        else:
            self.use += CacheUse(misses=1)
            found = compute()
            self._keep(key, found)
        return found

    def add(self, key: FeatureKey, features: Features) -> bool:
        """Keep what was computed along with something else; tell whether it is held.

        The first who asks for it counts as if it were computed then.
        """
        if not self._holds(key):
            self._keep(key, features)
            if self._holds(key):
                self._new.add(key)
        return self._holds(key)

    def _holds(self, key: FeatureKey) -> bool:
        return key in self._device or key in self._host

    def prefetch(self, keys: Collection[FeatureKey]) -> None:
        """Begin to fetch from the host what will be asked for next; drops what was not."""
        self._coming = {
            key: _Copy.of(there, self._place)
            for key in keys
            if key not in self._device and (there := self._host.find(key, self._run)) is not None
        }

    def fits(self, features: Features, factor: float) -> bool:
        """Tell whether so many times as many bytes as these have are within the device's budget."""
        device = _tensors(features)[0].device
        return size_of(features) * factor <= self._device.allowed(device)

    @property
    def bytes_held(self) -> int:
        """Bytes held on the device and on the host, at most both budgets."""
        return self._device.bytes + self._host.bytes

    def _keep(self, key: FeatureKey, features: Features) -> None:
        self._place = _tensors(features)[0].device
        self._move_to_host(self._device.keep(key, features, self._run, self._place))

    def _move_to_host(self, dropped: Sequence[tuple[FeatureKey, Features]]) -> None:
        if not _has_host(self._place):
            return
        host = torch.device("cpu")
        for out, what in dropped:
            if self._host.has_room(size_of(what), self._run, host):
                self._host.keep(out, _to_host(what), self._run, host)


def _check_budget(given: int) -> None:
    if given < 0:
        raise ValueError(f"the cache budget must be at least 0 bytes, got {given}")


@dataclass
class _Entry:
    features: Features
    size: int
    run: int
    """That used it last."""


@dataclass
class _Tier:
    """Features in one memory, the least recently used first."""

    budget: int | None
    entries: OrderedDict[FeatureKey, _Entry] = field(default_factory=OrderedDict)
    bytes: int = 0

    def __contains__(self, key: FeatureKey) -> bool:
        return key in self.entries

    def allowed(self, device: torch.device) -> int:
        if self.budget is None:
            self.budget = int(_free_bytes(device) * _SHARES.get(device.type, 0.25))
        return self.budget

    def find(self, key: FeatureKey, run: int) -> Features | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        entry.run = run
        self.entries.move_to_end(key)
        return entry.features

    def has_room(self, size: int, run: int, device: torch.device) -> bool:
        """Tell whether so much can be kept, what nobody used lately dropped for it."""
        old = sum(entry.size for entry in self.entries.values() if entry.run < run - 1)
        return self.bytes - old + size <= self.allowed(device)

    def keep(
        self, key: FeatureKey, features: Features, run: int, device: torch.device
    ) -> list[tuple[FeatureKey, Features]]:
        """Keep it, and return what is not kept any more: others, or itself."""
        size = size_of(features)
        if not self.has_room(size, run, device):
            return [(key, features)]
        dropped = self.trim(size, device)
        self.entries[key] = _Entry(features, size, run)
        self.bytes += size
        return dropped

    def trim(self, more: int, device: torch.device) -> list[tuple[FeatureKey, Features]]:
        """Drop the least recently used until there is room for so many more bytes; return them."""
        dropped = []
        while self.entries and self.bytes + more > self.allowed(device):
            oldest, entry = self.entries.popitem(last=False)
            self.bytes -= entry.size
            dropped.append((oldest, entry.features))
        return dropped


@dataclass(frozen=True)
class _Copy:
    """Features on their way from the host to the GPU."""

    features: Features
    done: "torch.cuda.Event | None" = None

    @classmethod
    def of(cls, features: Features, device: torch.device) -> "_Copy":
        if device.type != "cuda":
            return cls(_mapped(features, lambda tensor: tensor.to(device)))
        with torch.cuda.stream(_copying(device)):
            there = _mapped(features, lambda tensor: tensor.to(device, non_blocking=True))
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()
        return cls(there, done)

    def arrived(self) -> Features:
        """Make what is computed from now on wait for the copy."""
        if self.done is not None:
            present = torch.cuda.current_stream()
            present.wait_event(self.done)
            for tensor in _tensors(self.features):
                tensor.record_stream(present)
        return self.features


@cache
def _copying(device: torch.device) -> "torch.cuda.Stream":
    """Return the stream that copies beside what is computed."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _has_host(device: torch.device) -> bool:
    """Tell whether there is another memory behind a device's own."""
    return device.type == "cuda"


def _to_host(features: Features) -> Features:
    """Return a copy in memory that the GPU can read while it computes."""
    pinned = torch.cuda.is_available()
    return _mapped(features, lambda t: t.cpu().pin_memory() if pinned else t.cpu())


def _mapped(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    return tuple(
        change(layer) if isinstance(layer, Tensor) else layer.mapped(change) for layer in features
    )


def _tensors(features: Features) -> Sequence[Tensor]:
    return [
        tensor
        for layer in features
        for tensor in ([layer] if isinstance(layer, Tensor) else layer.tensors)
    ]


def size_of(features: Features) -> int:
    """Return the bytes of features."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(features))


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    return int(psutil.virtual_memory().available)
