"""Attention over own and reference tokens: pure tensor math.

FABRIC (arXiv 2307.10159, section 3.2) lets every query attend to the keys of the
references too and scales their share by a feedback weight w. As in all implementations
the weight enters before the normalisation, `softmax(logits + log w)`: one reference of
weight w and logits equal to the image's own takes the share w / (1 + w). Equation 2 of
the paper, read literally, would not be normalised.

Three forms compute the same: `masked` adds `log w` as a bias on the logits; `widened` gives
queries one more channel of 1 and keys one of `log w`, for kernels that take no bias; `merged`
attends to own and to reference tokens apart and weighs both by their log-sum-exp, so that keys of
references are neither copied nor repeated for each image.

Where there is no guidance, disliked references have no unconditional pass to act in. Attention is
then pushed away from them: `attention_both_ways`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Form = Literal["masked", "widened", "merged"]

_MULTIPLE = 8
"""Fast kernels want channels in multiples of it."""
_NOTHING = -1e4
"""A logit that leaves no share, and that half precision can hold."""


@dataclass(frozen=True)
class ReferenceTokens:
    """What one reference offers to the queries of a self-attention."""

    key: Float[Tensor, "#batch heads reference_tokens channels"]
    """Of batch 1 where all rows share it."""
    value: Float[Tensor, "#batch heads reference_tokens channels"]
    weight: float | Float[Tensor, " batch"]
    """Feedback weight, at least 0; one for all rows, or one for each."""
    log_sizes: Float[Tensor, " reference_tokens"] | None = None
    """Of how many tokens each is the mean, as a logarithm; None: of one."""


def weighted_attention(
    query: Float[Tensor, "batch heads tokens channels"],
    key: Float[Tensor, "batch heads own_tokens channels"],
    value: Float[Tensor, "batch heads own_tokens channels"],
    references: Iterable[ReferenceTokens],
    form: Form | None = None,
) -> Float[Tensor, "batch heads tokens channels"]:
    """Attend to own tokens with weight 1 and to those of references with their feedback weights.

    Args:
        references: at least one; `merged` asks for one after the other, and keeps none.
        form: how it is computed; None takes what suits device and size (see `best_form`).
    """
    form = form or best_form(query)
    if form == "merged":
        return _merged(query, key, value, references)
    references = list(references)
    batch = query.shape[0]
    keys = torch.cat([key, *(r.key.expand(batch, -1, -1, -1) for r in references)], dim=2)
    values = torch.cat([value, *(r.value.expand(batch, -1, -1, -1) for r in references)], dim=2)
    bias = _bias(query, key.shape[2], references)
    if form == "masked":
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=bias[:, None, None])
    return _widened(query, keys, values, bias)


@dataclass(frozen=True)
class Offer:
    """What references offer to the queries of a self-attention."""

    toward: Iterable[ReferenceTokens] | None
    """At least one; None: nothing."""
    away: Iterable[ReferenceTokens] | None = None
    """At least one, where there is no guidance; None: nothing."""


def attention_both_ways(
    query: Float[Tensor, "batch heads tokens channels"],
    key: Float[Tensor, "batch heads own_tokens channels"],
    value: Float[Tensor, "batch heads own_tokens channels"],
    offer: Offer,
    form: Form | None = None,
) -> Float[Tensor, "batch heads tokens channels"]:
    """Attend toward some references and away from others: A(toward) + A(nothing) - A(away).

    The last two are what guidance extrapolates in a network's predictions (arXiv 2207.12598), here
    in each attention: m (own - theirs), where m is the share that queries would give the others.
    That attention can be extrapolated is known (arXiv 2505.21179).

    Args:
        query: of the image.
        key: of own tokens.
        value: of own tokens.
        offer: references; with `away` None it is `weighted_attention`.
        form: how it is computed, see `weighted_attention`.
    """
    if offer.away is None and offer.toward is not None:
        return weighted_attention(query, key, value, offer.toward, form)
    own = mixed = F.scaled_dot_product_attention(query, key, value)
    if offer.toward is not None:
        mixed = weighted_attention(query, key, value, offer.toward, form)
    if offer.away is None:
        return mixed
    return mixed + (own - weighted_attention(query, key, value, offer.away, form))


def best_form(query: Float[Tensor, "batch heads tokens channels"]) -> Form:
    """Return the form that suits where the queries lie and how many rows they have.

    A rule and no measurement on the spot: the same call is to give the same bits. On a CPU
    `python -m experiments.bench_attention` decided (docs/performance.md). CUDA's fastest kernel for
    half precision takes no bias on the logits, which speaks for `widened`; not measured.
    """
    return form_for(query.device, query.dtype, query.shape[0])


def form_for(device: torch.device, dtype: torch.dtype, rows: int) -> Form:
    """Return the same for queries that are not there yet."""
    if device.type == "cuda" and dtype in (torch.float16, torch.bfloat16):
        return "widened"
    return "merged" if device.type == "cpu" and rows > 1 else "masked"


def _bias(
    query: Tensor, own: int, references: Sequence[ReferenceTokens]
) -> Float[Tensor, "#batch all_tokens"]:
    """Return what is added to the logits: 0 for own tokens, log w for those of references."""
    logs = [_log(r.weight, query) for r in references]
    rows = max(len(log) for log in logs)
    parts = [query.new_zeros(rows, own)]
    for log, reference in zip(logs, references, strict=True):
        part = log[:, None].expand(rows, reference.key.shape[2])
        parts.append(part if reference.log_sizes is None else part + reference.log_sizes)
    return torch.cat(parts, dim=1)


def _log(weight: float | Tensor, like: Tensor) -> Float[Tensor, " rows"]:
    if isinstance(weight, Tensor):
        return weight.to(like).log().clamp(min=_NOTHING)
    return like.new_full((1,), math.log(weight) if weight > 0 else _NOTHING)


def _widened(
    query: Tensor, keys: Tensor, values: Tensor, bias: Float[Tensor, "#batch all_tokens"]
) -> Tensor:
    channels = query.shape[-1]
    wide = _wide(query, keys, values, bias)
    return F.scaled_dot_product_attention(*wide, scale=channels**-0.5)[..., :channels]


def _wide(
    query: Tensor, keys: Tensor, values: Tensor, bias: Float[Tensor, "#rows all_tokens"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return all three with more channels, so that the bias is added to the logits."""
    channels = query.shape[-1]
    more = _MULTIPLE - channels % _MULTIPLE  # at least one, for the bias; the others are 0
    # Half of the scale's factor goes to each side, so that half precision holds both.
    side = channels**0.25
    wide_query, wide_keys = F.pad(query, (0, more)), F.pad(keys, (0, more))
    wide_query[..., channels] = side
    wide_keys[..., channels] = (bias * side)[:, None].expand(*keys.shape[:2], -1)
    return wide_query, wide_keys, F.pad(values, (0, more))


def _merged(
    query: Tensor, key: Tensor, value: Tensor, references: Iterable[ReferenceTokens]
) -> Tensor:
    found, mass = _with_mass(query, key, value)
    for reference in references:
        theirs, their_mass = _of_reference(query, reference)
        their_mass = their_mass + _log(reference.weight, their_mass)[:, None, None]
        both = torch.logaddexp(mass, their_mass)
        share = (their_mass - both).exp()[..., None].to(found)
        found = torch.lerp(found, theirs, share)
        mass = both
    return found


def _of_reference(query: Tensor, reference: ReferenceTokens) -> tuple[Tensor, Tensor]:
    """Return what `_with_mass` does for the tokens of a reference, whatever their sizes."""
    if reference.log_sizes is None:
        return _with_mass(query, reference.key, reference.value)
    channels = query.shape[-1]
    wide = _wide(query, reference.key, reference.value, reference.log_sizes[None])
    found, mass = _with_mass(*wide, scale=channels**-0.5)
    return found[..., :channels], mass


def _with_mass(
    query: Float[Tensor, "batch heads tokens channels"],
    key: Float[Tensor, "#batch heads other_tokens channels"],
    value: Float[Tensor, "#batch heads other_tokens channels"],
    scale: float | None = None,
) -> tuple[Float[Tensor, "batch heads tokens channels"], Float[Tensor, "batch heads tokens"]]:
    """Return attention and the log of the sum of exponentials of each query's logits.

    Args:
        scale: of the logits; None: the usual one.
    """
    batch, _, tokens, _ = query.shape
    if key.shape[0] != batch:  # all rows ask the same keys: rows become tokens, nothing is repeated
        rows = query.transpose(0, 1).flatten(1, 2)[None]
        found, mass = _with_mass(rows, key, value, scale)
        found = found[0].unflatten(1, (batch, tokens)).transpose(0, 1)  # type: ignore[no-untyped-call]
        return found, mass[0].unflatten(1, (batch, tokens)).transpose(0, 1)  # type: ignore[no-untyped-call]
    # PyTorch has the log-sum-exp of its fused kernels only here, below its public functions.
    if query.device.type == "cpu":
        fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        found, mass = fused(query, key, value, scale=scale)[:2]
        return found, mass
    if query.device.type == "cuda":
        fused = torch.ops.aten._scaled_dot_product_efficient_attention
        found, mass = fused(query, key, value, None, True, scale=scale)[:2]
        return found, mass[..., :tokens]  # it is padded
    logits = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    return logits.softmax(dim=-1) @ value, logits.logsumexp(dim=-1)
