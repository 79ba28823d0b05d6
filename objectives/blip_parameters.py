"""From BLIP's own parameter names to those of transformers.

Li et al., "BLIP" (2022), arXiv 2201.12086. The text tower has the same names in both; the vision
tower is timm's there, and transformers' own here.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fabricbo import ObjectiveError

VISION, TEXT = "blip.visual_encoder.", "blip.text_encoder."
HEAD_WIDTH = 64
"""Channels of an attention head of the vision tower; the same in the base and the large one."""
VISION_EPS = 1e-6
"""timm's; transformers' default for BLIP is another."""
RENAMED = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.(\d+)\.norm", r"encoder.layers.\1.layer_norm"),
    (r"^blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.self_attn.qkv."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"^blocks\.(\d+)\.mlp\.", r"encoder.layers.\1.mlp."),
)


def vision_parameters(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those of the vision tower, as `BlipVisionModel` names them."""
    return {_renamed(name): value for name, value in under(VISION, parameters).items()}


def text_parameters(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those of the text tower, as `BlipTextModel` names them."""
    found = under(TEXT, parameters)
    # A count from 0 that older versions saved along.
    return {name: value for name, value in found.items() if name != "embeddings.position_ids"}


def vision_config(parameters: Mapping[str, Tensor]) -> Any:
    """Return the vision tower's configuration, which its parameters imply.

    Raises:
        ObjectiveError: they are not those of such a tower.
    """
    from transformers import BlipVisionConfig

    found = under(VISION, parameters)
    try:
        width, _, patch, _ = found["patch_embed.proj.weight"].shape
        patches = found["pos_embed"].shape[1] - 1
        inner = found["blocks.0.mlp.fc1.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise ObjectiveError(
            f"these are no parameters of ImageReward: {VISION}* lacks {error}"
        ) from error
    return BlipVisionConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=len({name.split(".")[1] for name in found if name.startswith("blocks.")}),
        num_attention_heads=width // HEAD_WIDTH,
        image_size=round(patches**0.5) * patch,
        patch_size=patch,
        layer_norm_eps=VISION_EPS,
    )


def text_config(settings: Mapping[str, Any], vision_width: int) -> Any:
    """Return the text tower's configuration.

    Args:
        settings: what `med_config.json` holds.
        vision_width: channels of what it attends to.

    Raises:
        ObjectiveError: a setting is missing.
    """
    from transformers import BlipTextConfig

    names = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
        "hidden_act",
        "layer_norm_eps",
        "pad_token_id",
    )
    missing = [name for name in names if name not in settings]
    if missing:
        raise ObjectiveError(f"med_config.json has no {', '.join(missing)}")
    taken = {name: settings[name] for name in names}
    # transformers gives a "decoder" the layers that attend to the image.
    return BlipTextConfig(**taken, encoder_hidden_size=vision_width, is_decoder=True)


def under(prefix: str, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the parameters whose names begin so, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in parameters.items() if k.startswith(prefix)}


def _renamed(name: str) -> str:
    for published, ours in RENAMED:
        name, count = re.subn(published, ours, name)
        if count:
            break
    return name
