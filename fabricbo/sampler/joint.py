"""Joint attention of image and text (arXiv 2403.03206, figure 2) with reference tokens.

Image queries attend to references, as everywhere in FABRIC. Text queries do not: in a U-Net the
text is the same whatever the references show, so here it sees them through the image only.

Stable Diffusion 3 and the first blocks of FLUX have projections of their own for the text
(`joint_attention`); in the other blocks of FLUX image and text are one sequence with the same
projections (`single_attention`).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fabricbo.sampler.attention import Form, Offer, attention_both_ways
from fabricbo.sampler.flux import Rotation, turned

Heads = Float[Tensor, "batch heads tokens head_channels"]
Asked = tuple[Heads, Heads, Heads]
"""Queries, keys and values."""


def joint_attention(
    attn: Any,
    image: Asked,
    text: Float[Tensor, "batch text_tokens channels"],
    offer: Offer,
    form: Form | None = None,
    rotation: Rotation | None = None,
) -> tuple[Float[Tensor, "batch tokens channels"], Float[Tensor, "batch text_tokens channels"]]:
    """Mix image with image, text and references, and text with image and text.

    Args:
        attn: diffusers' `Attention` or `FluxAttention`, whose projections are used.
        image: queries, keys and values of the image, rotated.
        text: hidden states of the text.
        offer: of references, their keys rotated.
        form: see `weighted_attention`.
        rotation: of the text's queries and keys; None: they are not rotated.

    Returns:
        Image and text; the last block's text, which nobody needs, is not projected.
    """
    told = (
        heads(attn, attn.add_q_proj(text), attn.norm_added_q, rotation),
        heads(attn, attn.add_k_proj(text), attn.norm_added_k, rotation),
        heads(attn, attn.add_v_proj(text), None),
    )
    mixed, said = _mixed(image, told, offer, form)
    out = attn.to_out[1](attn.to_out[0](mixed))
    return out, said if attn.context_pre_only else attn.to_add_out(said)


def single_attention(
    both: Asked,
    text_tokens: int,
    offer: Offer,
    form: Form | None = None,
) -> Float[Tensor, "batch all_tokens channels"]:
    """Do the same where image and text are one sequence, the text first.

    Args:
        both: queries, keys and values of the sequence, rotated.
        text_tokens: how many of it are text.
        offer: of references, their keys rotated.
        form: see `weighted_attention`.
    """
    text, image = (
        tuple(part[:, :, tokens] for part in both)
        for tokens in (slice(text_tokens), slice(text_tokens, None))
    )
    mixed, said = _mixed(image, text, offer, form)  # type: ignore[arg-type]
    return torch.cat([said, mixed], dim=1)


def _mixed(image: Asked, text: Asked, offer: Offer, form: Form | None) -> tuple[Tensor, Tensor]:
    key, value = (torch.cat([image[n], text[n]], dim=2) for n in (1, 2))
    mixed = attention_both_ways(image[0], key, value, offer, form)
    said = F.scaled_dot_product_attention(text[0], key, value)
    return mixed.transpose(1, 2).flatten(2), said.transpose(1, 2).flatten(2)


def heads(
    attn: Any, tokens: Tensor, norm: nn.Module | None, rotation: Rotation | None = None
) -> Tensor:
    """Split channels into heads: `batch tokens channels` to `batch heads tokens head_channels`.

    Args:
        attn: says how many heads there are.
        tokens: queries, keys or values.
        norm: of each head's channels; None: none.
        rotation: by where the tokens are; None: none.
    """
    split = tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
    normed: Tensor = split if norm is None else norm(split)
    return normed if rotation is None else turned(normed, rotation)
