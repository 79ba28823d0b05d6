"""Feedback written out plainly, for comparison: no cache, no fused kernels, nothing of ours.

Before each U-Net pass every reference goes through the U-Net alone; the hidden states that its
self-attentions met are appended to those of the image, and the softmax is weighted and written out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor


class _Attention:
    def __init__(self, index: int, state: "_State") -> None:
        self._index = index
        self._state = state

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        if self._state.reading is not None:
            self._state.reading[self._index] = hidden_states
            return self._attend(attn, hidden_states, [])
        rows = len(hidden_states)
        if not self._state.guided:
            # Projecting what is mixed is linear, so that sums may be made of what comes out.
            liked, own, disliked = (
                self._attend(attn, hidden_states, used)
                for used in (self._state.liked, [], self._state.disliked)
            )
            return liked + own - disliked
        halves = hidden_states.split(rows // 2)
        used = (self._state.disliked, self._state.liked)
        return torch.cat([self._attend(attn, h, u) for h, u in zip(halves, used, strict=True)])

    def _attend(self, attn: Any, own: Tensor, references: Sequence[Any]) -> Tensor:
        shown = [hidden[self._index].expand(len(own), -1, -1) for hidden, _ in references]
        tokens = torch.cat([own, *shown], dim=1)
        factors = torch.cat(
            [torch.ones(own.shape[1])]
            + [torch.full((s.shape[1],), w) for s, (_, w) in zip(shown, references, strict=True)]
        )
        q, k, v = (
            to(x).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for to, x in ((attn.to_q, own), (attn.to_k, tokens), (attn.to_v, tokens))
        )
        return attn.to_out[1](attn.to_out[0](weighted_softmax(q, k, v, factors)))


def weighted_softmax(query: Tensor, key: Tensor, value: Tensor, factors: Tensor) -> Tensor:
    """Mix values by a softmax whose terms have factors; heads are put back side by side."""
    logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    mass = (logits - logits.amax(-1, keepdim=True)).exp() * factors
    return ((mass / mass.sum(-1, keepdim=True)) @ value).transpose(1, 2).flatten(2)


@contextmanager
def opened(
    network: Any,
    attentions: Sequence[Any],
    processor: Callable[[int], Any],
    before_pass: Callable[..., None],
) -> Iterator[None]:
    """Give attentions other processors, by their number, and listen to a network's passes."""
    before = [attention.processor for attention in attentions]
    for index, attention in enumerate(attentions):
        attention.set_processor(processor(index))
    hook = network.register_forward_pre_hook(before_pass, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
        for attention, own in zip(attentions, before, strict=True):
            attention.set_processor(own)


class _State:
    reading: dict[int, Tensor] | None = None
    guided: bool
    liked: Sequence[Any] = ()
    disliked: Sequence[Any] = ()


@contextmanager
def plain_feedback(
    unet: Any,
    *,
    liked: Sequence[Callable[[int, Any], Tensor]],
    disliked: Sequence[Callable[[int, Any], Tensor]],
    weight: Callable[[int], float],
    null_embeds: Tensor,
    conditions: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: {},
    guided: bool = True,
    first_step: int = 0,
) -> Iterator[None]:
    """Give a pipeline feedback, all levels and both roles with the same weight.

    Args:
        liked: from denoising step and timestep to the U-Net's input.
        disliked: the same.
        weight: by denoising step.
        conditions: what references are given, by what the pipeline's own pass is.
        guided: whether the first half of the rows is unconditional; else attention is pushed away
            from what is disliked.
        first_step: of the pipeline's first pass.
    """
    state = _State()
    state.guided = guided
    attentions = [m.attn1 for m in unet.modules() if isinstance(m, BasicTransformerBlock)]
    step = first_step - 1

    def read(make: Callable[[int, Any], Tensor], timestep: Any, given: dict[str, Any]) -> Any:
        state.reading = {}
        unet(make(step, timestep), timestep, null_embeds, **conditions(given))
        found, state.reading = state.reading, None
        return found, weight(step)

    def run_references(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal step
        if state.reading is not None:
            return
        step += 1
        state.liked, state.disliked = (
            [read(make, args[1], kwargs) for make in makes] for makes in (liked, disliked)
        )

    with opened(unet, attentions, lambda index: _Attention(index, state), run_references):
        yield
