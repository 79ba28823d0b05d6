"""Feedback in a transformer written out plainly: no cache, no fused kernels, nothing of ours.

As `tests.oracle` does for U-Nets. Where image and text share an attention, only image queries see
the references.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tests.oracle import opened, weighted_softmax


class _Attention:
    def __init__(self, index: int, state: "_State") -> None:
        self._index = index
        self._state = state

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Any = None,
        *_: Any,
        **__: Any,
    ) -> Any:
        text = encoder_hidden_states
        if self._state.reading is not None:
            self._state.reading[self._index] = hidden_states
            return _attend(attn, hidden_states, text, [])
        half = len(hidden_states) // 2
        found = [
            _attend(
                attn,
                hidden_states[rows],
                None if text is None else text[rows],
                [(hidden[self._index], weight) for hidden, weight in used],
            )
            for rows, used in (
                (slice(0, half), self._state.disliked),
                (slice(half, None), self._state.liked),
            )
        ]
        if text is None:
            return torch.cat(found)
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def _attend(attn: Any, own: Tensor, text: Tensor | None, references: Sequence[Any]) -> Any:
    shown = [hidden.expand(len(own), -1, -1) for hidden, _ in references]
    tokens = torch.cat([own, *shown], dim=1)
    factors = torch.ones(tokens.shape[1])
    done = own.shape[1]
    for hidden, weight in references:
        factors[done : done + hidden.shape[1]] = weight
        done += hidden.shape[1]
    query = _heads(attn, attn.to_q(own), attn.norm_q)
    key = _heads(attn, attn.to_k(tokens), attn.norm_k)
    value = _heads(attn, attn.to_v(tokens))
    if text is None:
        return attn.to_out[0](weighted_softmax(query, key, value, factors))
    text_query = _heads(attn, attn.add_q_proj(text), attn.norm_added_q)
    text_key = _heads(attn, attn.add_k_proj(text), attn.norm_added_k)
    text_value = _heads(attn, attn.add_v_proj(text))
    key, value = torch.cat([text_key, key], dim=2), torch.cat([text_value, value], dim=2)
    factors = torch.cat([torch.ones(text.shape[1]), factors])
    seen = text.shape[1] + own.shape[1]
    mixed = attn.to_out[0](weighted_softmax(query, key, value, factors))
    told = weighted_softmax(text_query, key[:, :, :seen], value[:, :, :seen], factors[:seen])
    return mixed, told if attn.context_pre_only else attn.to_add_out(told)


def _heads(attn: Any, tokens: Tensor, norm: Any = None) -> Tensor:
    split = tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
    return split if norm is None else norm(split)


class _State:
    reading: dict[int, Tensor] | None = None
    liked: Sequence[Any] = ()
    disliked: Sequence[Any] = ()


@contextmanager
def plain_feedback(
    transformer: Any,
    attentions: Sequence[Any],
    *,
    liked: Sequence[Callable[[int, Tensor], Tensor]],
    disliked: Sequence[Callable[[int, Tensor], Tensor]],
    weight: Callable[[int], float],
    given: dict[str, Any],
    first_step: int = 0,
) -> Iterator[None]:
    """Give a guided pipeline feedback.

    Args:
        attentions: those that references come in at.
        liked: from denoising step and timestep to what the transformer is shown.
        disliked: the same.
        weight: by denoising step.
        given: what goes with a reference.
        first_step: of the pipeline's first pass.
    """
    state, step = _State(), first_step - 1

    def read(make: Callable[[int, Tensor], Tensor], timestep: Tensor) -> Any:
        state.reading = {}
        transformer(hidden_states=make(step, timestep), timestep=timestep[None], **given)
        found, state.reading = state.reading, None
        return found, weight(step)

    def run_references(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        nonlocal step
        if state.reading is not None:
            return
        step += 1
        timestep = kwargs["timestep"][0]
        state.liked, state.disliked = (
            [read(make, timestep) for make in makes] if weight(step) > 0 else []
            for makes in (liked, disliked)
        )

    with opened(transformer, attentions, lambda index: _Attention(index, state), run_references):
        yield
