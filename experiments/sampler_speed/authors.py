"""Feedback as the FABRIC authors' implementation computes it, written anew for comparison.

At every step all references go through the U-Net in one batch; their hidden states before each
self-attention are moved to the CPU and back, repeated for every image, projected with the image's
own, and the whole matrix of attention probabilities is weighed and normalised again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor


@dataclass(frozen=True)
class Evaluation:
    """What one guided evaluation is given."""

    latents: Tensor
    """`images channels height width`, scaled for the U-Net."""
    timestep: Tensor
    embeds: Tensor
    """Of the negative prompt, then of the prompt: `2 images tokens channels`."""
    null_embeds: Tensor
    """Of the empty prompt: `1 tokens channels`."""
    liked: Tensor
    """Noised latents of liked references, `references channels height width`; may be empty."""
    disliked: Tensor
    weight: float
    """Feedback weight of both."""


@torch.no_grad()
def authors_evaluation(unet: UNet2DConditionModel, given: Evaluation) -> Tensor:
    """Return predictions, unconditional rows first."""
    references = torch.cat([given.disliked, given.liked])
    passing = _Pass(len(given.disliked), len(given.latents), given.weight)
    with _replaced(unet, passing):
        passing.reading = True
        null = given.null_embeds.expand(len(references), -1, -1)
        unet(references, given.timestep, null, return_dict=False)
        passing.reading = False
        latents = torch.cat([given.latents] * 2)
        found: Tensor = unet(latents, given.timestep, given.embeds, return_dict=False)[0]
    return found


@dataclass
class _Pass:
    """What the self-attentions share."""

    disliked: int
    images: int
    weight: float
    reading: bool = False
    hidden: dict[int, Tensor] = field(default_factory=dict)


@contextmanager
def _replaced(unet: UNet2DConditionModel, passing: _Pass) -> Iterator[None]:
    attentions = [m.attn1 for m in unet.modules() if isinstance(m, BasicTransformerBlock)]
    before = [attention.forward for attention in attentions]
    for index, attention in enumerate(attentions):
        attention.forward = _forward(attention, index, passing, before[index])
    try:
        yield
    finally:
        for attention in attentions:
            del attention.forward  # the class's own is left


def _forward(attention: Any, index: int, passing: _Pass, before: Callable[..., Tensor]) -> Any:
    def forward(hidden_states: Tensor, *arguments: Any, **options: Any) -> Tensor:
        if passing.reading:
            passing.hidden[index] = hidden_states if hidden_states.is_meta else hidden_states.cpu()
            return before(hidden_states, *arguments, **options)
        states = passing.hidden[index].to(hidden_states.device)
        halves = (states[: passing.disliked], states[passing.disliked :])
        rows = hidden_states.split(passing.images)
        return torch.cat(
            [_weighed(attention, own, refs, passing.weight) for own, refs in zip(rows, halves)]  # noqa: B905
        )

    return forward


def _weighed(attention: Any, own: Tensor, references: Tensor, weight: float) -> Tensor:
    """Attend to own tokens and to references, with the whole matrix of probabilities."""
    images, tokens, channels = own.shape
    extra = references.reshape(1, -1, channels).expand(images, -1, -1)
    everything = torch.cat([own, extra], dim=1)
    query = _flat(attention, attention.to_q(own))
    key = _flat(attention, attention.to_k(everything))
    value = _flat(attention, attention.to_v(everything))
    probabilities = (query @ key.transpose(1, 2) * attention.scale).softmax(dim=-1)
    factors = probabilities.new_ones(everything.shape[1])
    factors[tokens:] = weight
    probabilities = probabilities * factors
    probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    mixed = (probabilities @ value).unflatten(0, (images, -1)).transpose(1, 2).flatten(2)
    out: Tensor = attention.to_out[1](attention.to_out[0](mixed))
    return out / attention.rescale_output_factor


def _flat(attention: Any, tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (attention.heads, -1)).transpose(1, 2).flatten(0, 1)  # type: ignore[no-untyped-call]
