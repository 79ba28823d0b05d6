"""Surgery on a U-Net: its self-attentions can be read, and given more tokens to attend to.

`patched(unet)` puts a processor of our own in front of each self-attention's processor and
puts the very objects it found back, also after an exception. As long as nothing is read or
injected, the processors found do all the work, on the very tensors they would have got.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from jaxtyping import Float
from torch import Tensor, nn

from fabricbo.sampler.attention import weighted_attention

Features = tuple[Float[Tensor, "1 _ _"], ...]
"""What one reference offers: its hidden states (`1 tokens channels`) before each self-attention,
in the order of the layers, which differ in tokens and channels."""


@dataclass(frozen=True)
class Injection:
    """Reference features for some rows of a batch."""

    rows: slice
    features: Sequence[Features]
    """Of one or more references; they are appended in this order."""
    level_weights: Sequence[float]
    """Feedback weight by U-Net level, the bottleneck's last (see `schedule.level_weights`)."""


@dataclass
class UNetPatch:
    """What a patched U-Net is to do in its next pass."""

    layers: Sequence["_Layer"]
    injections: Sequence[Injection] = ()
    captured: dict[int, Tensor] | None = None

    @contextmanager
    def capturing(self) -> Iterator[Mapping[int, Tensor]]:
        """Record the hidden states before each self-attention, by layer; inject nothing."""
        saved, self.injections, self.captured = self.injections, (), {}
        try:
            yield self.captured
        finally:
            self.injections, self.captured = saved, None

    @contextmanager
    def injecting(self, injections: Sequence[Injection]) -> Iterator[None]:
        """Let the given rows attend to reference features."""
        self.injections = injections
        try:
            yield
        finally:
            self.injections = ()


@contextmanager
def patched(unet: UNet2DConditionModel) -> Iterator[UNetPatch]:
    """Open a U-Net's self-attentions for reading and injection; restore them on leaving."""
    patch = UNetPatch(_self_attentions(unet))
    originals = [layer.attention.processor for layer in patch.layers]
    try:
        for index, (layer, original) in enumerate(zip(patch.layers, originals, strict=True)):
            layer.attention.set_processor(_FeedbackProcessor(patch, index, original))
        yield patch
    finally:
        for layer, original in zip(patch.layers, originals, strict=True):
            layer.attention.set_processor(original)


@dataclass(frozen=True)
class _Layer:
    attention: Any
    """A self-attention, diffusers' `Attention`."""
    level: int
    """0 for the outermost blocks, the number of down blocks for the bottleneck."""


def _self_attentions(unet: UNet2DConditionModel) -> list[_Layer]:
    down, up = list(unet.down_blocks), list(unet.up_blocks)
    blocks = [*enumerate(down), *((len(up) - 1 - i, block) for i, block in enumerate(up))]
    if unet.mid_block is not None:
        blocks.append((len(down), unet.mid_block))
    return [
        _Layer(module.attn1, level)
        for level, block in blocks
        for module in block.modules()
        if isinstance(module, BasicTransformerBlock) and not module.only_cross_attention
    ]


class _FeedbackProcessor:
    """Stands before one self-attention's own processor."""

    def __init__(self, patch: UNetPatch, index: int, original: Any) -> None:
        self._patch = patch
        self._index = index
        self._original = original

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        def original(rows: Tensor) -> Tensor:
            result: Tensor = self._original(
                attn, rows, encoder_hidden_states, attention_mask, temb, **kwargs
            )
            return result

        if self._patch.captured is not None:
            self._patch.captured[self._index] = hidden_states.detach()
        active = [(injection, self._weight(injection)) for injection in self._patch.injections]
        active = [(injection, weight) for injection, weight in active if weight > 0]
        if not active:
            return original(hidden_states)
        if attention_mask is not None:
            raise NotImplementedError("feedback in a self-attention that has a mask of its own")
        return self._by_rows(attn, hidden_states, active, original)

    def _weight(self, injection: Injection) -> float:
        return injection.level_weights[self._patch.layers[self._index].level]

    def _by_rows(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        active: Sequence[tuple[Injection, float]],
        original: Any,
    ) -> Tensor:
        """Compute each group of rows with its own references, the rest as it would have been."""
        parts, done = [], 0
        for injection, weight in sorted(active, key=lambda pair: pair[0].rows.start):
            if done < injection.rows.start:
                parts.append(original(hidden_states[done : injection.rows.start]))
            features = torch.cat([f[self._index] for f in injection.features], dim=1)
            parts.append(_attend(attn, hidden_states[injection.rows], features, weight))
            done = injection.rows.stop
        if done < hidden_states.shape[0]:
            parts.append(original(hidden_states[done:]))
        return torch.cat(parts)


def _attend(
    attn: Any,
    hidden_states: Float[Tensor, "batch tokens channels"],
    features: Float[Tensor, "1 reference_tokens channels"],
    weight: float,
) -> Float[Tensor, "batch tokens channels"]:
    """Run diffusers' `Attention` with reference tokens; LoRA layers inside it apply to them too."""
    query = _heads(attn, attn.to_q(hidden_states), attn.norm_q)
    key = _heads(attn, attn.to_k(hidden_states), attn.norm_k)
    value = _heads(attn, attn.to_v(hidden_states), None)
    mixed = weighted_attention(
        query,
        key,
        value,
        reference_key=_heads(attn, attn.to_k(features), attn.norm_k),
        reference_value=_heads(attn, attn.to_v(features), None),
        weight=weight,
    )
    out: Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
    return attn.to_out[1](out) / attn.rescale_output_factor  # type: ignore[no-any-return]


def _heads(attn: Any, tokens: Tensor, norm: nn.Module | None) -> Tensor:
    """Split channels into heads: `batch tokens channels` to `batch heads tokens head_channels`."""
    split = tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
    return split if norm is None else norm(split)  # type: ignore[no-any-return]
