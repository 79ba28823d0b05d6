"""Finding and loading checkpoints: the bundled one, a folder, a file, or a hub id."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from fabricbo.demo import checkpoint_folder

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
        if self.config is not None and not (self.config / "model_index.json").is_file():
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
        ValueError: the checkpoint is no Stable Diffusion text-to-image pipeline.
    """
    device = _best_device() if checkpoint.device == "auto" else checkpoint.device
    dtype = torch.float16 if device == "cuda" else torch.float32
    pipeline = _load(checkpoint, dtype)
    if checkpoint.lora is not None:
        pipeline.load_lora_weights(str(checkpoint.lora.parent), weight_name=checkpoint.lora.name)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _load(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    from diffusers import StableDiffusionPipeline

    common = {"torch_dtype": dtype, "safety_checker": None, "requires_safety_checker": False}
    path = checkpoint_folder() if checkpoint.name == "demo" else Path(checkpoint.name).expanduser()
    if path.is_file():
        config = None if checkpoint.config is None else str(checkpoint.config)
        return StableDiffusionPipeline.from_single_file(str(path), config=config, **common)
    source = str(path) if path.is_dir() else checkpoint.name
    try:
        return StableDiffusionPipeline.from_pretrained(
            source, revision=checkpoint.revision, use_safetensors=True, **common
        )
    except OSError as error:
        raise FileNotFoundError(_missing(source, path.is_dir())) from error


def _missing(source: str, is_folder: bool) -> str:
    if is_folder:
        return f"{source} lacks files of a Stable Diffusion pipeline in safetensors format"
    from huggingface_hub.constants import HF_HUB_CACHE

    return (
        f"checkpoint {source!r} is not in the cache ({HF_HUB_CACHE}) and could not be fetched "
        "from the hub. Connect once, or download it elsewhere and name its folder; the bundled "
        "`demo` needs no network"
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
        if not (path / "model_index.json").is_file():
            raise ValueError(f"checkpoint folder {name} has no model_index.json")
    elif path.is_file() or path.suffix in (".safetensors", *_PICKLES):
        _check_file(path, "checkpoint")
    elif not _HUB_ID.fullmatch(name):
        raise ValueError(
            "checkpoint must be `demo`, a folder in diffusers' format, a .safetensors file or a "
            f"hub id like owner/name, got {name!r}"
        )


def _check_file(path: Path, field: str) -> None:
    if not path.expanduser().is_file():
        raise ValueError(f"{field}: no file {path}")
    if path.suffix != ".safetensors":
        raise ValueError(
            f"{field} must be a .safetensors file, got {path.name}: other formats can run code "
            "when they are opened"
        )
