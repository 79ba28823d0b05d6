"""Networks of objectives: where they live, loading each once, and batches that fit."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor

from fabricbo import ObjectiveError
from fabricbo.torchvision_compat import ensure_importable

ensure_importable()  # before anything imports torchvision

BATCH = 32
"""Images that go through a network at once, unless memory is short."""
DTYPES = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a network lives and in which precision.

    Raises:
        ObjectiveError: no such device here, or no such precision.
    """

    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`; auto takes what there is."""
    offload: bool = False
    """Whether it leaves the device after each use."""
    dtype: str = "float32"
    """`float32`, `float16` or `bfloat16`; half precision changes scores in the third digit."""

    def __post_init__(self) -> None:
        present = _present_devices()
        if self.device != "auto" and self.device not in present:
            raise ObjectiveError(
                f"device must be auto or one of {', '.join(present)}, got {self.device!r}"
            )
        if self.dtype not in DTYPES:
            raise ObjectiveError(f"dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}")

    @property
    def torch_device(self) -> torch.device:
        """The device, `auto` resolved."""
        return torch.device(_present_devices()[-1] if self.device == "auto" else self.device)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The precision."""
        dtype: torch.dtype = DTYPES[self.dtype]
        return dtype


def _present_devices() -> list[str]:
    """Return the devices of this machine, the best one last."""
    others = {"mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available()}
    return ["cpu", *(name for name, present in others.items() if present)]


@dataclass(frozen=True)
class Network:
    """A loaded network, what prepares its inputs, and where it is used."""

    module: Any
    """A `torch.nn.Module` in eval mode."""
    prepare: Any
    """What turns images or texts into its inputs; its own kind knows how to call it."""
    place: Place

    @contextmanager
    def at_work(self) -> Iterator[Any]:
        """Have the network on its device, without gradients; afterwards it makes room if asked."""
        self.module.to(self.place.torch_device)
        try:
            with torch.inference_mode():
                yield self.module
        finally:
            if self.place.offload and self.place.torch_device.type != "cpu":
                self.module.to("cpu")
                torch.cuda.empty_cache()


@cache
def shared(load: Callable[..., Network], *key: Any) -> Network:
    """Return what a loader makes of a key: loaded once, whoever asks for it.

    Args:
        load: a function of a module, called with the key.
        key: what tells one network from another, usually a checkpoint and a `Place`.
    """
    return load(*key)


def in_batches(
    compute: Callable[[Sequence[T]], Tensor], items: Sequence[T], size: int = BATCH
) -> Tensor:
    """Return the rows that a function computes of items, on the CPU in float32.

    Where memory runs out it tries once more with a quarter of the batch.

    Raises:
        ObjectiveError: memory runs out even so.
    """
    for attempt in (size, max(1, size // 4)):
        try:
            chunks = [items[i : i + attempt] for i in range(0, len(items), attempt)]
            return torch.cat([compute(chunk).float().cpu() for chunk in chunks])
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    raise ObjectiveError(
        f"out of memory, also with {attempt} images at once; use another device, --offload, or "
        f"half precision (dtype). The reason: {reason}"
    )


def _out_of_memory(error: Exception) -> bool:
    # The CPU's allocator raises a plain RuntimeError.
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)


@contextmanager
def found(what: str, name: str, cache: Path | None = None) -> Iterator[None]:
    """Explain why a checkpoint cannot be loaded, wherever it was looked for.

    Args:
        what: what kind of thing it is.
        name: hub id, address, file or folder.
        cache: file or folder that what is fetched from an address is kept in; None: the hub's.

    Raises:
        ObjectiveError: in place of whatever the library raised.
    """
    try:
        yield
    except ObjectiveError:
        raise
    except Exception as error:  # libraries raise anything on files that are not as they expect
        from huggingface_hub.constants import HF_HUB_CACHE

        where = f" Looked for it in the cache ({HF_HUB_CACHE}) and on the hub; connect once, or "
        where += "download it elsewhere and name its folder."
        if cache is not None:
            where = f" Looked for it in the cache ({cache}) and at its address; connect once, or "
            where += "download it elsewhere and put it there."
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ObjectiveError(
            f"{what} {name!r} cannot be loaded: {reason}"
            + ("" if Path(name).expanduser().exists() else f".{where}")
        ) from error


def extra_module(name: str, extra: str) -> ModuleType:
    """Import a module that an extra of fabricbo brings.

    Raises:
        ObjectiveError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ObjectiveError(
            f"needs {name}, which is not installed ({error}): pip install 'fabricbo[{extra}]'"
        ) from error
