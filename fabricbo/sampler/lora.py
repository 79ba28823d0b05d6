"""LoRA files as they are published, under the names that diffusers knows.

Three kinds of names are brought to diffusers' own, which begin with `unet.`:

- those of the old attention processors, in which the LoRA of the Human Preference Score (arXiv
  2303.14420) was published: `down_blocks.0...attn1.processor.to_q_lora.down.weight`,
- those that PEFT gives a U-Net's adapter: `down_blocks.0...attn1.to_q.lora_A.weight`,
- the same inside a whole PEFT model: `base_model.model.down_blocks.0...`.

All others diffusers reads by itself.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

PEFT_PREFIX = "base_model.model."
_UNET_PARTS = ("down_blocks.", "mid_block.", "up_blocks.")


def needs_other_names(file: Path) -> bool:
    """Tell whether a LoRA file has names that diffusers would not take for a U-Net's."""
    with safe_open(file, framework="pt") as opened:
        return any(_renamed(name) != name for name in opened.keys())  # noqa: SIM118


def read_lora(file: Path) -> dict[str, Tensor]:
    """Read a LoRA file whose names are others than diffusers' own.

    The scale of an adapter of PEFT stands in `adapter_config.json` beside its file; it is worked
    into the parameters. Without that file, and in the old format, the scale is 1.

    Raises:
        ValueError: the configuration asks for what cannot be worked in.
    """
    scale = _scale(file.parent / "adapter_config.json") if _is_peft(file) else 1.0
    return rename_lora(load_file(file), scale)


def rename_lora(parameters: Mapping[str, Tensor], scale: float = 1.0) -> dict[str, Tensor]:
    """Return parameters under diffusers' names, those of the second factor times a scale."""
    return {
        _renamed(name): values * scale if ".lora_B." in name and scale != 1.0 else values
        for name, values in parameters.items()
    }


def _renamed(name: str) -> str:
    bare = name.removeprefix(PEFT_PREFIX)
    return f"unet.{bare}" if bare.startswith(_UNET_PARTS) else bare


def _is_peft(file: Path) -> bool:
    with safe_open(file, framework="pt") as opened:
        return any(name.startswith(PEFT_PREFIX) for name in opened.keys())  # noqa: SIM118


def _scale(config_file: Path) -> float:
    if not config_file.is_file():
        return 1.0
    config = json.loads(config_file.read_text("utf-8"))
    for setting in ("use_dora", "rank_pattern", "alpha_pattern"):
        if config.get(setting):
            raise ValueError(f"{config_file.name} has {setting}, which cannot be worked in")
    rank, alpha = config["r"], config["lora_alpha"]
    return float(alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))
