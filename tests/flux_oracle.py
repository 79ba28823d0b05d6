"""Feedback in FLUX written out plainly: no cache, no fused kernels, nothing of ours.

As `tests.oracle` does for U-Nets. With guidance conditional and unconditional passes come in
turns. Only image queries see the references, whose keys are rotated as those of a picture to the
right of the image.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tests.oracle import opened, weighted_softmax


def packed(latents: Tensor) -> Tensor:
    """Return a token for 2 x 2 latents, row by row."""
    batch, _, height, width = latents.shape
    tokens = [
        latents[:, :, row : row + 2, column : column + 2].reshape(batch, -1)
        for row in range(0, height, 2)
        for column in range(0, width, 2)
    ]
    return torch.stack(tokens, dim=1)


def places(height: int, width: int, first: int = 0) -> Tensor:
    """Return number, row and column of each token, the columns from the first."""
    rows, columns = range(height // 2), range(first, first + width // 2)
    return torch.tensor([[0, row, column] for row in rows for column in columns]).float()


def _rotated(heads: Tensor, at: Tensor, sizes: Sequence[int]) -> Tensor:
    """Rotate pairs of channels by the place along the axis that they belong to."""
    angles = torch.cat(
        [
            at[:, axis, None].double() * 10000.0 ** -(torch.arange(0, size, 2).double() / size)
            for axis, size in enumerate(sizes)
        ],
        dim=1,
    )
    pairs = torch.view_as_complex(heads.double().unflatten(-1, (-1, 2)).contiguous())
    turned = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2).to(heads.dtype)


class _Attention:
    def __init__(self, index: int, state: "_State") -> None:
        self._index = index
        self._state = state

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Any = None, *_: Any
    ) -> Any:
        state, text = self._state, encoder_hidden_states
        told = state.text_tokens if text is None else 0
        image, first = hidden_states[:, told:], hidden_states[:, :told]
        if state.reading is not None:
            state.reading[self._index] = image
            return self._attend(attn, image, text, first, [])
        found = self._attend(attn, image, text, first, state.used)
        if not state.away:
            return found
        # Projecting what is mixed is linear, so that sums may be made of what comes out.
        own, away = (self._attend(attn, image, text, first, used) for used in ([], state.away))
        if text is None:
            return found + own - away
        return tuple(f + o - a for f, o, a in zip(found, own, away, strict=True))

    def _attend(
        self, attn: Any, image: Tensor, text: Any, first: Tensor, references: Sequence[Any]
    ) -> Any:
        own = text is not None
        said = text if own else first
        of_text = (
            (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
            if own
            else (attn.to_q, attn.to_k, attn.to_v)
        )
        norms = (attn.norm_added_q, attn.norm_added_k) if own else (attn.norm_q, attn.norm_k)
        zeros = torch.zeros(said.shape[1], 3)

        def turned(tokens: Tensor, norm: Any, at: Tensor) -> Tensor:
            return _rotated(norm(_heads(attn, tokens)), at, self._state.sizes)

        shown = [hidden[self._index].expand(len(image), -1, -1) for hidden, _ in references]
        keys = [
            turned(of_text[1](said), norms[1], zeros),
            turned(attn.to_k(image), attn.norm_k, self._state.at),
            *(turned(attn.to_k(s), attn.norm_k, self._state.theirs) for s in shown),
        ]
        values = [of_text[2](said), attn.to_v(image), *map(attn.to_v, shown)]
        key, value = torch.cat(keys, dim=2), _heads(attn, torch.cat(values, dim=1))
        factors = torch.ones(key.shape[2])
        seen = done = said.shape[1] + image.shape[1]
        for hidden, weight in references:
            factors[done : done + hidden[self._index].shape[1]] = weight
            done += hidden[self._index].shape[1]
        query = turned(attn.to_q(image), attn.norm_q, self._state.at)
        mixed = weighted_softmax(query, key, value, factors)
        told = weighted_softmax(
            turned(of_text[0](said), norms[0], zeros),
            key[:, :, :seen],
            value[:, :, :seen],
            factors[:seen],
        )
        if own:
            return attn.to_out[0](mixed), attn.to_add_out(told)
        return torch.cat([told, mixed], dim=1)


def _heads(attn: Any, tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


class _State:
    reading: dict[int, Tensor] | None = None
    used: Sequence[Any] = ()
    away: Sequence[Any] = ()
    text_tokens: int
    sizes: Sequence[int]
    at: Tensor
    theirs: Tensor


@contextmanager
def plain_feedback(
    transformer: Any,
    *,
    liked: Sequence[Callable[[int, Tensor], Tensor]],
    disliked: Sequence[Callable[[int, Tensor], Tensor]],
    weight: Callable[[int], float],
    given: dict[str, Any],
    timesteps: Callable[[], Tensor],
    size: tuple[int, int] = (8, 8),
    guided: bool = True,
) -> Iterator[None]:
    """Give a guided pipeline feedback.

    Args:
        transformer: FLUX's.
        liked: from denoising step and timestep to noised latents.
        disliked: the same.
        weight: by denoising step.
        given: what goes with a reference, the prompt's embedding included.
        timesteps: of the scheduler.
        size: of latents.
        guided: whether each step has a second pass, which is unconditional; else attention is
            pushed away from what is disliked.
    """
    state, passes = _State(), -1
    state.sizes = transformer.config.axes_dims_rope
    state.at, state.theirs = places(*size), places(*size, first=size[1] // 2)
    text = given["encoder_hidden_states"].shape[1]

    def read(make: Callable[[int, Tensor], Tensor], step: int) -> Any:
        state.reading = {}
        timestep = timesteps()[step]
        transformer(
            hidden_states=packed(make(step, timestep)),
            timestep=timestep[None] / 1000,
            img_ids=state.at,
            txt_ids=torch.zeros(text, 3),
            **given,
        )
        found, state.reading = state.reading, None
        return found, weight(step)

    def run_references(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        nonlocal passes
        state.text_tokens = kwargs["encoder_hidden_states"].shape[1]
        if state.reading is not None:
            return
        passes += 1
        step = passes // 2 if guided else passes

        def used(makes: Sequence[Callable[[int, Tensor], Tensor]]) -> list[Any]:
            return [read(make, step) for make in makes] if weight(step) > 0 else []

        state.used = used((liked, disliked)[passes % 2] if guided else liked)
        state.away = [] if guided else used(disliked)
        state.text_tokens = kwargs["encoder_hidden_states"].shape[1]

    attentions = [
        block.attn
        for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks)
    ]
    with opened(transformer, attentions, lambda index: _Attention(index, state), run_references):
        yield
