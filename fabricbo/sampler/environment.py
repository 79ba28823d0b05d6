"""What images depend on besides action, prompt and seeds: weights, scheduler, device, versions."""

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from fabricbo.protocols import Environment
from fabricbo.sampler.compiling import is_compiled
from fabricbo.sampler.networks import network_of

_NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2", "text_encoder_3", "transformer")
PACKAGES = ("fabricbo", "torch", "diffusers", "transformers", "peft", "numpy", "pillow")


def environment_of(pipeline: Any) -> Environment:
    """Describe a loaded pipeline and where it runs, in JSON's types.

    Weights are told by SHA-256 over the names and bytes of all parameters of the networks as they
    are loaded, LoRA and precision included: equal wherever the files came from.
    """
    network = network_of(pipeline)
    compiled = {"compiled": True} if is_compiled(network) else {}
    scheduler = {k: v for k, v in pipeline.scheduler.config.items() if not k.startswith("_")}
    return {
        "weights": _digest(pipeline),
        "scheduler": type(pipeline.scheduler).__name__,
        "scheduler_options": {name: _plain(value) for name, value in sorted(scheduler.items())},
        "dtype": str(network.dtype).removeprefix("torch."),
        "device": _device_name(network.device),
        **compiled,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _digest(pipeline: Any) -> str:
    found = hashlib.sha256()
    for part in _NETWORKS:
        network = getattr(pipeline, part, None)
        for name, tensor in sorted(network.state_dict().items()) if network is not None else ():
            found.update(f"{part}.{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            # Bytes as they are: numpy knows no bfloat16.
            found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"{device.type}: {platform.processor() or platform.machine()}"


def _plain(value: Any) -> Any:
    """Return a value of a scheduler's configuration in JSON's types."""
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
