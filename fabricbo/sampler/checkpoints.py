"""Finding and loading checkpoints: the bundled one, a folder, a file, or a hub id."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from fabricbo.demo import checkpoint_folder
from fabricbo.sampler.lora import needs_other_names, read_lora

Device = Literal["auto", "cpu", "cuda", "mps"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin"})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which network to load, and where it goes.

    Raises:
        ValueError: no such file or folder, a format that is not read, or a device not present.
    """

    name: str = "demo"
    """`demo`, a folder in diffusers' format, a single `.safetensors` file, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit, for a hub id."""
    config: Path | None = None
    """For a single file: a folder in diffusers' format that describes its architecture. Without
    it diffusers finds out from the file and takes the description from its cache or the hub."""
    lora: Path | None = None
    """A LoRA file (`.safetensors`)."""
    device: Device = "auto"

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.lora is not None:
            _check_file(self.lora, "lora")
        if self.config is not None and not _is_described(self.config.expanduser()):
            raise ValueError(f"config must be a folder with a model_index.json, got {self.config}")
        if self.device not in ("auto", "cpu", "cuda", "mps"):
            raise ValueError(f"device must be auto, cpu, cuda or mps, got {self.device!r}")
        if self.device not in ("auto", "cpu") and self.device != _best_device():
            raise ValueError(f"device {self.device} is not present; auto takes {_best_device()}")


def load_pipeline(checkpoint: Checkpoint) -> Any:
    """Load a Stable Diffusion pipeline onto its device, in the precision that suits it.

    float16 on a GPU, float32 elsewhere. Only safetensors are read, no code of a checkpoint is
    run, and no safety checker is loaded.

    Raises:
        FileNotFoundError: a hub id whose files are neither in the cache nor reachable.
        ValueError: the checkpoint is no Stable Diffusion text-to-image pipeline, or is damaged, or
            the LoRA does not fit it.
    """
    device = _best_device() if checkpoint.device == "auto" else checkpoint.device
    dtype = torch.float16 if device == "cuda" else torch.float32
    pipeline = _load(checkpoint, dtype)
    if checkpoint.lora is not None:
        _add_lora(pipeline, checkpoint.lora.expanduser())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _load(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    from diffusers import StableDiffusionPipeline

    common = {"dtype": dtype, "safety_checker": None, "requires_safety_checker": False}
    path = checkpoint_folder() if checkpoint.name == "demo" else Path(checkpoint.name).expanduser()
    if path.is_file():
        return _load_file(path, checkpoint.config, common)
    is_folder = path.is_dir()
    source = str(path) if is_folder else checkpoint.name
    with _explained(f"checkpoint {source} cannot be loaded as a Stable Diffusion pipeline"):
        try:
            return StableDiffusionPipeline.from_pretrained(
                source, revision=checkpoint.revision, use_safetensors=True, **common
            )
        except OSError as error:
            if is_folder:
                raise
            raise FileNotFoundError(_not_found(f"checkpoint {source!r}", error)) from error


def _load_file(path: Path, config: Path | None, common: dict[str, Any]) -> Any:
    from diffusers import StableDiffusionPipeline
    from huggingface_hub.errors import LocalEntryNotFoundError

    described = None if config is None else str(config.expanduser())
    with _explained(f"checkpoint {path} cannot be loaded as a Stable Diffusion pipeline"):
        try:
            return StableDiffusionPipeline.from_single_file(str(path), config=described, **common)
        except LocalEntryNotFoundError as error:
            what = f"the description of the architecture of {path} (checkpoint.config)"
            raise FileNotFoundError(_not_found(what, error)) from error


def _add_lora(pipeline: Any, file: Path) -> None:
    with _explained(f"lora {file} cannot be loaded"):
        if needs_other_names(file):
            pipeline.load_lora_weights(read_lora(file))
        else:
            pipeline.load_lora_weights(str(file.parent), weight_name=file.name)
    if not pipeline.get_active_adapters():
        raise ValueError(f"lora {file} holds nothing for the networks of this checkpoint")


@contextmanager
def _explained(failure: str) -> Iterator[None]:
    """Say which file does not fit; what diffusers raises then is of nearly any type."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{failure}: {type(error).__name__}: {error}") from error


def _not_found(what: str, error: Exception) -> str:
    from huggingface_hub.constants import HF_HUB_CACHE

    reason = str(error).partition("\n")[0]
    return (
        f"{what} is not in the cache ({HF_HUB_CACHE}) and could not be fetched from the hub. "
        "Connect once, or download it elsewhere and name its folder; the bundled `demo` needs no "
        f"network. The reason: {reason}"
    )


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_name(name: str) -> None:
    path = Path(name).expanduser()
    if name == "demo":
        return
    if path.is_dir():
        if not _is_described(path):
            raise ValueError(f"checkpoint folder {name} has no model_index.json")
    elif path.is_file() or path.suffix in (".safetensors", *_PICKLES):
        _check_file(path, "checkpoint")
    elif not _HUB_ID.fullmatch(name):
        raise ValueError(
            "checkpoint must be `demo`, a folder in diffusers' format, a .safetensors file or a "
            f"hub id like owner/name, got {name!r}"
        )


def _is_described(folder: Path) -> bool:
    return (folder / "model_index.json").is_file()


def _check_file(path: Path, field: str) -> None:
    if not path.expanduser().is_file():
        raise ValueError(f"{field}: no file {path}")
    if path.suffix != ".safetensors":
        raise ValueError(
            f"{field} must be a .safetensors file, got {path.name}: other formats can run code "
            "when they are opened; where you trust it, convert it with torch.load(file, "
            "weights_only=True) and safetensors.torch.save_file"
        )
