"""Attention over own and reference tokens: pure tensor math.

FABRIC (arXiv 2307.10159, section 3.2) lets every query attend to the keys of the
references too and scales their share by a feedback weight w. As in all implementations
the weight enters before the normalisation, `softmax(logits + log w)`: one reference of
weight w and logits equal to the image's own takes the share w / (1 + w). Equation 2 of
the paper, read literally, would not be normalised.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def weighted_attention(
    query: Float[Tensor, "batch heads tokens channels"],
    key: Float[Tensor, "batch heads tokens channels"],
    value: Float[Tensor, "batch heads tokens channels"],
    *,
    reference_key: Float[Tensor, "#batch heads reference_tokens channels"],
    reference_value: Float[Tensor, "#batch heads reference_tokens channels"],
    weight: float,
) -> Float[Tensor, "batch heads tokens channels"]:
    """Attend to own tokens with weight 1 and to reference tokens with the feedback weight.

    Args:
        reference_key: keys of the reference tokens; projected once, shared by the whole batch
            when their batch is 1.
        reference_value: values of the reference tokens.
        weight: feedback weight, above 0.
    """
    batch = query.shape[0]
    keys = torch.cat([key, reference_key.expand(batch, -1, -1, -1)], dim=2)
    values = torch.cat([value, reference_value.expand(batch, -1, -1, -1)], dim=2)
    bias = query.new_zeros(1, 1, 1, keys.shape[2])
    bias[..., key.shape[2] :] = math.log(weight)
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
