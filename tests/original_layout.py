"""A pipeline's parameters in the layout of the original Stable Diffusion code.

What people share as a single file has this layout. The tables are for the tiny pipeline: the
U-Net has two levels of one block, the autoencoder three levels of one.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

Names = Mapping[str, str]

_UNET_BLOCKS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.attentions.0": "input_blocks.1.1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.1.conv",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.attentions.0": "output_blocks.2.1",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
    "up_blocks.1.attentions.1": "output_blocks.3.1",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_LAYERS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_BLOCKS = {
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.attentions.0": "mid.attn_1",
    "mid_block.resnets.1": "mid.block_2",
    "conv_norm_out": "norm_out",
    **{f"down_blocks.{i}.resnets.{j}": f"down.{i}.block.{j}" for i in range(3) for j in range(2)},
    **{f"down_blocks.{i}.downsamplers.0": f"down.{i}.downsample" for i in range(3)},
    **{f"up_blocks.{i}.resnets.{j}": f"up.{2 - i}.block.{j}" for i in range(3) for j in range(2)},
    **{f"up_blocks.{i}.upsamplers.0": f"up.{2 - i}.upsample" for i in range(3)},
}
_VAE_LAYERS = {
    "conv_shortcut": "nin_shortcut",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def original_layout(pipeline: Any) -> dict[str, Tensor]:
    """Return all parameters of the tiny pipeline by their original names."""
    unet = {
        f"model.diffusion_model.{_renamed(key, _UNET_BLOCKS, _UNET_LAYERS)}": value
        for key, value in pipeline.unet.state_dict().items()
    }
    vae = {
        f"first_stage_model.{_vae_name(key)}": _as_convolution(key, value)
        for key, value in pipeline.vae.state_dict().items()
    }
    text = {
        f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}": value
        for key, value in pipeline.text_encoder.state_dict().items()
    }
    return {key: value.contiguous() for key, value in (unet | vae | text).items()}


def _renamed(key: str, blocks: Names, layers: Names) -> str:
    """Rename the block that a key begins with, and the layer of a residual block in it."""
    block = next(name for name in sorted(blocks, key=len, reverse=True) if key.startswith(name))
    rest = key.removeprefix(block)
    if "resnets" in block:
        rest = re.sub(r"^\.(\w+)", lambda found: f".{layers.get(found[1], found[1])}", rest)
    return blocks[block] + rest


def _vae_name(key: str) -> str:
    for name, original in (_VAE_BLOCKS | _VAE_LAYERS).items():
        key = re.sub(rf"(^|\.){re.escape(name)}(?=\.)", rf"\g<1>{original}", key)
    return key


def _as_convolution(key: str, value: Tensor) -> Tensor:
    """Linear layers of the autoencoder's attention were convolutions of one pixel."""
    is_linear = ".attentions." in key and value.ndim == 2
    return value[:, :, None, None] if is_linear else value
