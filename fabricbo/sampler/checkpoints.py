"""Finding and loading checkpoints: the bundled one, a folder, a file, or a hub id."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import safe_open

from fabricbo.demo import checkpoint_folder
from fabricbo.sampler.compiling import check_compiler, compile_blocks
from fabricbo.sampler.lora import needs_other_names, read_lora
from fabricbo.sampler.networks import network_of

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "float16", "bfloat16"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin"})
_UNCHECKED = {"safety_checker": None, "requires_safety_checker": False}
_XL = "StableDiffusionXLPipeline"
_FLUX = "FluxPipeline"
_PIPELINES: dict[str, dict[str, Any]] = {
    "StableDiffusionPipeline": _UNCHECKED,
    _XL: {},
    "LatentConsistencyModelPipeline": _UNCHECKED,
    "StableDiffusion3Pipeline": {},
    _FLUX: {},
}
"""What is loaded, by the name in `model_index.json`, and what it is loaded with."""
_HAND: Mapping[str, Mapping[str, float]] = {
    _XL: {"feedback_end": 0.5},
    _FLUX: {"guidance_scale": 1.0},
}
"""Hand settings in place of the classic ones."""
PIPELINE_NAMES = frozenset(_PIPELINES)
_ONLY_IN_XL = "conditioner.embedders.1.model."
"""The second text encoder in a single file of SDXL."""
_ONLY_IN_TRANSFORMERS = re.compile(r"(model\.diffusion_model\.)?(joint|double)_blocks\.")
"""Blocks in a single file of Stable Diffusion 3 or FLUX."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which network to load, and where it goes.

    Raises:
        ValueError: no such file or folder, a format that is not read, a device not present, or
            nothing there that compiles.
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
    clip_skip: int = 0
    """How many of the last layers of the text encoders are left out."""
    device: Device = "auto"
    precision: Precision = "auto"
    """Of parameters and activations; `auto`: float16 on a CUDA device, float32 elsewhere."""
    compile: bool = False
    """Whether the network's transformer blocks are compiled: the same images up to rounding."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.lora is not None:
            _check_file(self.lora, "lora")
        if self.config is not None and not _is_described(self.config.expanduser()):
            raise ValueError(f"config must be a folder with a model_index.json, got {self.config}")
        if self.clip_skip < 0:
            raise ValueError(f"clip_skip must be at least 0, got {self.clip_skip}")
        if self.device not in ("auto", "cpu", "cuda", "mps"):
            raise ValueError(f"device must be auto, cpu, cuda or mps, got {self.device!r}")
        if self.precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise ValueError(f"precision must be one of {known}, got {self.precision!r}")
        if self.device not in ("auto", "cpu") and self.device != _best_device():
            raise ValueError(f"device {self.device} is not present; auto takes {_best_device()}")
        if self.compile:
            check_compiler(_best_device() if self.device == "auto" else self.device)


def load_pipeline(checkpoint: Checkpoint) -> Any:
    """Load a pipeline of Stable Diffusion (1.x, 2.x, SDXL, LCM, 3.x) or FLUX.1 onto its device.

    Only safetensors are read, no code of a checkpoint is run, and no safety checker is loaded.

    Raises:
        FileNotFoundError: a hub id whose files are neither in the cache nor reachable.
        ValueError: the checkpoint is no known text-to-image pipeline, or is damaged, or
            the LoRA does not fit it.
    """
    device = _best_device() if checkpoint.device == "auto" else checkpoint.device
    pipeline = _load(checkpoint, _dtype(checkpoint.precision, device))
    if checkpoint.lora is not None:
        _add_lora(pipeline, checkpoint.lora.expanduser())
    if checkpoint.clip_skip:
        _skip_layers(pipeline, checkpoint.clip_skip)
    pipeline.set_progress_bar_config(disable=True)
    pipeline = pipeline.to(device)
    if checkpoint.compile:
        compile_blocks(network_of(pipeline))
    return pipeline


def load_preview_decoder(name: str, pipeline: Any) -> Any:
    """Load a small distilled decoder (diffusers' `AutoencoderTiny`) beside a pipeline.

    Args:
        name: a folder, or a hub id; only safetensors are read.
        pipeline: whose device and precision it gets.

    Raises:
        FileNotFoundError: a hub id whose files are neither in the cache nor reachable.
        ValueError: it is no such decoder, or damaged.
    """
    from diffusers import AutoencoderTiny

    failure = f"preview decoder {name} cannot be loaded as an AutoencoderTiny"
    with _read_from(name, f"preview decoder {name!r}", failure) as source:
        kind = AutoencoderTiny.load_config(source).get("_class_name")
        if kind != "AutoencoderTiny":
            raise ValueError(f"it describes a network of class {kind}")
        decoder = AutoencoderTiny.from_pretrained(
            source, use_safetensors=True, dtype=pipeline.vae.dtype
        )
    return decoder.to(pipeline.device).eval()


def _dtype(precision: Precision, device: str) -> torch.dtype:
    if precision == "auto":
        precision = "float16" if device == "cuda" else "float32"
    found: torch.dtype = getattr(torch, precision)
    return found


def hand_settings(checkpoint: Checkpoint) -> Mapping[str, float]:
    """Return the hand settings that a checkpoint asks for in place of the classic ones.

    SDXL: a window in the first half of the denoising steps. FLUX: no guidance besides what its
    transformer has learnt. No network is loaded; of a hub id that is neither in the cache nor
    reachable nothing is known.

    Raises:
        ValueError: the checkpoint is no known text-to-image pipeline, or is damaged.
    """
    if checkpoint.name == "demo":
        return {}
    name, failure = checkpoint.name, f"checkpoint {checkpoint.name} cannot be read"
    path = Path(name).expanduser()
    try:
        if path.is_file():
            with _explained(failure):
                kind, _ = _pipeline_of_file(path)
        else:
            with _read_from(name, f"checkpoint {name!r}", failure) as source:
                kind, _ = _pipeline_of(source, checkpoint.revision)
    except FileNotFoundError:
        if path.is_dir():
            raise
        return {}
    return _HAND.get(kind.__name__, {})


def _load(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    name = str(checkpoint_folder()) if checkpoint.name == "demo" else checkpoint.name
    path = Path(name).expanduser()
    if path.is_file():
        return _load_file(path, checkpoint.config, dtype)
    shown = path if path.is_dir() else name
    failure = f"checkpoint {shown} cannot be loaded as a Stable Diffusion pipeline"
    with _read_from(name, f"checkpoint {name!r}", failure) as source:
        pipeline, settings = _pipeline_of(source, checkpoint.revision)
        return pipeline.from_pretrained(
            source,
            revision=checkpoint.revision,
            use_safetensors=True,
            dtype=dtype,
            **settings,
        )


def _load_file(path: Path, config: Path | None, dtype: torch.dtype) -> Any:
    from huggingface_hub.errors import LocalEntryNotFoundError

    described = None if config is None else str(config.expanduser())
    with _explained(f"checkpoint {path} cannot be loaded as a Stable Diffusion pipeline"):
        pipeline, settings = _pipeline_of_file(path)
        try:
            return pipeline.from_single_file(str(path), config=described, dtype=dtype, **settings)
        except LocalEntryNotFoundError as error:
            what = f"the description of the architecture of {path} (checkpoint.config)"
            raise FileNotFoundError(_not_found(what, error)) from error


def _pipeline_of(source: str, revision: str | None) -> tuple[Any, dict[str, Any]]:
    """Return the pipeline that a folder or a hub id describes, and what it is loaded with."""
    from diffusers import DiffusionPipeline

    described = DiffusionPipeline.load_config(source, revision=revision)
    name = described["_class_name"]
    if name not in _PIPELINES:
        raise ValueError(f"it describes a {name}; known are {', '.join(_PIPELINES)}")
    pipeline, settings = _pipeline(name)
    # Stable Diffusion 3 without its largest text encoder is loaded only where that is said again.
    left_out = {part: None for part, of in described.items() if of in ([None, None], (None, None))}
    return pipeline, left_out | settings


def _pipeline_of_file(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the pipeline that a single file is for, by the names of its parameters."""
    with safe_open(path, "pt") as file:
        names = list(file.keys())
    if any(map(_ONLY_IN_TRANSFORMERS.match, names)):
        raise ValueError(
            "it holds a transformer (Stable Diffusion 3, FLUX), which is read from a folder in "
            "diffusers' format or a hub id only"
        )
    is_xl = any(name.startswith(_ONLY_IN_XL) for name in names)
    return _pipeline(_XL if is_xl else "StableDiffusionPipeline")


def _pipeline(name: str) -> tuple[Any, dict[str, Any]]:
    import diffusers

    return getattr(diffusers, name), dict(_PIPELINES[name])


def _add_lora(pipeline: Any, file: Path) -> None:
    with _explained(f"lora {file} cannot be loaded"):
        if needs_other_names(file):
            pipeline.load_lora_weights(read_lora(file))
        else:
            pipeline.load_lora_weights(str(file.parent), weight_name=file.name)
    if not pipeline.get_active_adapters():
        raise ValueError(f"lora {file} holds nothing for the networks of this checkpoint")


def _skip_layers(pipeline: Any, count: int) -> None:
    """Leave out the last layers of the text encoders; the norm behind them stays.

    The pipelines' own `clip_skip` asks transformers 5 for what it has no more (diffusers 0.42), and
    leaves the unconditional prompt as it is.
    """
    for name in ("text_encoder", "text_encoder_2"):
        encoder = getattr(pipeline, name, None)
        if encoder is None:
            continue
        layers = getattr(getattr(encoder, "text_model", encoder).encoder, "layers", None)
        if layers is None:
            continue  # FLUX's second, T5
        if count >= len(layers):
            raise ValueError(f"clip_skip must be below {len(layers)}, the layers of {name}")
        del layers[len(layers) - count :]


@contextmanager
def _explained(failure: str) -> Iterator[None]:
    """Say which file does not fit; what diffusers raises then is of nearly any type."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{failure}: {type(error).__name__}: {error}") from error


@contextmanager
def _read_from(name: str, what: str, failure: str) -> Iterator[str]:
    """Give what diffusers takes for a folder or a hub id, and say what is wrong with either."""
    folder = Path(name).expanduser()
    with _explained(failure):
        try:
            yield str(folder) if folder.is_dir() else name
        except OSError as error:
            if folder.is_dir():
                raise
            raise FileNotFoundError(_not_found(what, error)) from error


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
