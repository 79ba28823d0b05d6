"""Joint attention of image and text (arXiv 2403.03206, figure 2) with reference tokens.

Image queries attend to references, as everywhere in FABRIC. Text queries do not: in a U-Net the
text is the same whatever the references show, so here it sees them through the image only.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fabricbo.sampler.attention import Form, ReferenceTokens, weighted_attention

Heads = Float[Tensor, "batch heads tokens head_channels"]


def joint_attention(
    attn: Any,
    image: tuple[Heads, Heads, Heads],
    text: Float[Tensor, "batch text_tokens channels"],
    references: Iterable[ReferenceTokens],
    form: Form | None = None,
) -> tuple[Float[Tensor, "batch tokens channels"], Float[Tensor, "batch text_tokens channels"]]:
    """Mix image with image, text and references, and text with image and text.

    Args:
        attn: diffusers' `Attention`, whose projections are used.
        image: queries, keys and values of the image.
        text: hidden states of the text.
        references: at least one.
        form: see `weighted_attention`.

    Returns:
        Image and text; the last block's text, which nobody needs, is not projected.
    """
    query = heads(attn, attn.add_q_proj(text), attn.norm_added_q)
    key = torch.cat([image[1], heads(attn, attn.add_k_proj(text), attn.norm_added_k)], dim=2)
    value = torch.cat([image[2], heads(attn, attn.add_v_proj(text), None)], dim=2)
    mixed = weighted_attention(image[0], key, value, references, form)
    told = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    out = attn.to_out[1](attn.to_out[0](mixed.transpose(1, 2).flatten(2)))
    return out, told if attn.context_pre_only else attn.to_add_out(told)


def heads(attn: Any, tokens: Tensor, norm: nn.Module | None) -> Tensor:
    """Split channels into heads: `batch tokens channels` to `batch heads tokens head_channels`."""
    split = tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
    return split if norm is None else norm(split)  # type: ignore[no-any-return]
