"""What differs between the networks that feedback works on: U-Nets and diffusion transformers.

A transformer computes at one size throughout, so it has one level only, the outermost. PixArt
(arXiv 2310.00426, 2403.04692) has the self-attention and cross-attention of a U-Net's blocks.
Stable Diffusion 3 (arXiv 2403.03206) has one joint attention of image and text instead, and 3.5 a
second one of the image alone in some blocks. FLUX.1 has joint attention, too, whose image tokens
and text tokens become one sequence after the first blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from diffusers import (
    FluxTransformer2DModel,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import JointAttnProcessor2_0
from diffusers.models.transformers.transformer_flux import FluxAttnProcessor
from torch import Tensor

from fabricbo.sampler.flux import call_flux

Network: TypeAlias = (
    UNet2DConditionModel | PixArtTransformer2DModel | SD3Transformer2DModel | FluxTransformer2DModel
)
"""What predicts the noise."""


@dataclass(frozen=True)
class _Kind:
    """What is particular to the networks of a family."""

    told: str
    """Name of what they are told of a prompt besides its embedding, if anything."""
    attentions: tuple[str, ...] = ()
    """Of transformers: names within a block of those in which image tokens ask image tokens."""
    processor: type | None = None
    """What must compute these attentions; None: whatever does."""
    packing: int = 1
    """Of how many latents each way a token is made before the network is called."""
    timestep_unit: float = 1
    """What they are told as 1 are so many of the scheduler's timesteps."""
    parts_guidance: bool = False
    """Whether pipelines have a pass of its own for the unconditional rows, after the other."""


_UNET = _Kind(told="text_embeds")
_TRANSFORMERS: Mapping[type, _Kind] = {
    # PixArt's second attention is to the text.
    PixArtTransformer2DModel: _Kind("encoder_attention_mask", ("attn1",)),
    SD3Transformer2DModel: _Kind("pooled_projections", ("attn", "attn2"), JointAttnProcessor2_0),
    FluxTransformer2DModel: _Kind(
        "pooled_projections",
        ("attn",),
        FluxAttnProcessor,
        packing=2,
        timestep_unit=1000,
        parts_guidance=True,
    ),
}


def _kind_of(network: Network) -> _Kind:
    return next((of for kind, of in _TRANSFORMERS.items() if isinstance(network, kind)), _UNET)


def network_of(pipeline: Any) -> Any:
    """Return what predicts the noise in a pipeline: its U-Net or its transformer."""
    return pipeline.unet if hasattr(pipeline, "unet") else pipeline.transformer


def is_transformer(network: Network) -> bool:
    """Tell whether a network is a transformer of one level."""
    return hasattr(network, "transformer_blocks")


def inner_levels(network: Network) -> int:
    """Return how many levels there are besides a bottleneck."""
    return 1 if is_transformer(network) else len(network.down_blocks)


def transformer_blocks(transformer: Network) -> list[Any]:
    """Return a transformer's blocks, in the order of computation."""
    alone = getattr(transformer, "single_transformer_blocks", ())  # FLUX's second kind
    return [*transformer.transformer_blocks, *alone]


def transformer_attentions(transformer: Network) -> list[Any]:
    """Return the attentions that image tokens ask image tokens in, in the order of computation."""
    return [
        attention
        for block in transformer_blocks(transformer)
        for name in _kind_of(transformer).attentions
        if (attention := getattr(block, name, None)) is not None
    ]


def parts_guidance(network: Network) -> bool:
    """Tell whether pipelines have a pass of its own for the unconditional rows, after the other."""
    return _kind_of(network).parts_guidance


def latent_channels(network: Network) -> int:
    """Return how many channels the latents have that a network is shown, before any packing."""
    channels: int = network.config.in_channels
    return channels // size_multiple(network) ** 2


def size_multiple(network: Network) -> int:
    """Return of how many latents each side of an image has to be a multiple."""
    return _kind_of(network).packing


def told_besides(network: Network) -> str:
    """Return the name of what a network is told of a prompt besides its embedding, if anything."""
    return _kind_of(network).told


def asked(network: Network, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int, Any]:
    """Return how many rows a pass of a pipeline has, and the scheduler's timestep that they share.

    Only about where the network is told it in the precision of the latents (FLUX).

    Raises:
        ValueError: it is an extra pass that leaves out layers.
    """
    if kwargs.get("skip_layers") is not None:
        raise ValueError("feedback knows no skip-layer guidance; leave out skip_guidance_layers")
    if not is_transformer(network):
        sample = args[0] if args else kwargs["sample"]
        return sample.shape[0], args[1] if len(args) > 1 else kwargs["timestep"]
    sample = args[0] if args else kwargs["hidden_states"]
    timestep = kwargs["timestep"].flatten()[0]  # their pipelines repeat it for each row
    unit = _kind_of(network).timestep_unit
    return sample.shape[0], timestep if unit == 1 else timestep.float() * unit


def call(network: Network, noised: Tensor, timesteps: Any, given: Mapping[str, Any]) -> None:
    """Run a network for what its attentions see; what it predicts is not wanted.

    Args:
        given: the prompt's embedding as `encoder_hidden_states`, and what goes with it.
    """
    if isinstance(network, FluxTransformer2DModel):
        call_flux(network, noised, timesteps, given)
        return
    name = "hidden_states" if is_transformer(network) else "sample"
    network(**{name: noised}, timestep=timesteps, return_dict=False, **given)


def check_known(network: Any, null_added: Mapping[str, Tensor] | None = None) -> None:
    """Check that feedback can be given to a network, and that what goes with it is given.

    Raises:
        ValueError: it cannot, or `null_added` lacks what the network wants of an empty prompt.
    """
    if hasattr(network, "down_blocks"):
        _check_unet(network, null_added)
    elif isinstance(network, tuple(_TRANSFORMERS)):
        _check_transformer(network, null_added)
    else:
        raise ValueError(
            "feedback works on U-Nets of Stable Diffusion and on transformers of PixArt, Stable "
            f"Diffusion 3 and FLUX.1, got {type(network).__name__}"
        )


def _check_unet(unet: Any, null_added: Mapping[str, Tensor] | None) -> None:
    kind = unet.config.addition_embed_type
    if kind not in (None, "text_time"):
        raise ValueError(
            "feedback works on Stable Diffusion 1.x, 2.x and SDXL; this U-Net needs added "
            f"conditions of type {kind!r}"
        )
    if kind == "text_time" and null_added is not None and "text_embeds" not in null_added:
        raise ValueError("this U-Net (SDXL) needs null_added['text_embeds'], of the empty prompt")


def _check_transformer(transformer: Any, null_added: Mapping[str, Tensor] | None) -> None:
    own = _kind_of(transformer).processor
    processors = [attention.processor for attention in transformer_attentions(transformer)]
    if own is not None and any(type(one) is not own for one in processors):
        names = sorted({type(one).__name__ for one in processors})
        raise ValueError(f"feedback needs this transformer's own attention, got {names}")
    shown, predicted = transformer.config.in_channels, transformer.out_channels
    if isinstance(transformer, FluxTransformer2DModel) and shown != predicted:
        raise ValueError(
            "feedback works on FLUX whose transformer is shown the image alone; this one (Fill, "
            f"Control) is shown {shown} channels and predicts {predicted}"
        )
    wanted = told_besides(transformer)
    if null_added is not None and wanted not in null_added:
        raise ValueError(f"this transformer needs null_added[{wanted!r}], of the empty prompt")
