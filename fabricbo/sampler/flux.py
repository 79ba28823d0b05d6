"""What is particular to FLUX.1: packed latents, and places that enter each attention by rotation.

Its transformer is shown 2 x 2 latents as one token. Queries and keys are rotated by where their
token is, by three coordinates: a picture's number, row and column (rotary embedding, arXiv
2104.09864; text is at 0, 0, 0). Keys of a reference with the image's own coordinates would draw
each query to its own place in the reference; so references lie beside the image, at columns
that FLUX knows from wider pictures. (Other numbers, which Kontext and FLUX.2 were trained with,
FLUX.1 never saw.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from diffusers.models.embeddings import apply_rotary_emb
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

Rotation = tuple[Float[Tensor, "tokens head_channels"], Float[Tensor, "tokens head_channels"]]
"""Cosines and sines of where tokens are."""


@dataclass(frozen=True)
class Places:
    """Which tokens of a pass are text, and where those of references are."""

    text_tokens: int
    """They come first where text and image are one sequence."""
    references: Rotation


def places_of(network: Any, kwargs: Mapping[str, Any]) -> Places | None:
    """Return the places of what a pass of a FLUX transformer is shown; None for other networks."""
    if not isinstance(network, FluxTransformer2DModel):
        return None
    text = kwargs["encoder_hidden_states"].shape[1]
    return Places(text, network.pos_embed(shifted(kwargs["img_ids"])))


def check_size(
    places: Float[Tensor, "tokens 3"], latents: Float[Tensor, "1 channels height width"]
) -> None:
    """Check that a reference's tokens lie as those that the transformer is shown.

    Raises:
        ValueError: it has another size, or the transformer is shown another picture, too.
    """
    height, width = latents.shape[-2:]
    expected = coordinates(height, width, places.device)
    if places.shape != expected.shape or not torch.equal(places.float(), expected):
        raise ValueError(
            "references must have the size of the images in FLUX, where each token has its place, "
            "and the transformer must be shown the image alone (Kontext shows another picture); "
            f"got latents of {height} x {width} for {len(places)} tokens of 2 x 2"
        )


def shifted(places: Float[Tensor, "tokens 3"]) -> Float[Tensor, "tokens 3"]:
    """Return where the tokens of a reference are: as those of the image, to its right."""
    number, row, column = places.float().unbind(-1)  # half precision counts to 256 only
    return torch.stack([number, row, column + column.max() + 1], dim=-1)


def turned(
    tokens: Float[Tensor, "batch heads tokens head_channels"], rotation: Rotation
) -> Float[Tensor, "batch heads tokens head_channels"]:
    """Rotate queries or keys."""
    found: Tensor = apply_rotary_emb(tokens, rotation)
    return found


def packed(
    latents: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch tokens packed_channels"]:
    """Return latents as the transformer is shown them: a token for 2 x 2."""
    return pixel_unshuffle(latents, 2).flatten(2).transpose(1, 2)


def coordinates(height: int, width: int, device: Any = None) -> Float[Tensor, "tokens 3"]:
    """Return where the tokens of latents of a size are."""
    rows = torch.arange(height // 2, device=device)
    columns = torch.arange(width // 2, device=device)
    return torch.cartesian_prod(torch.zeros_like(rows[:1]), rows, columns).float()


def call_flux(network: Any, noised: Tensor, timesteps: Tensor, given: Mapping[str, Any]) -> None:
    """Run a FLUX transformer on noised latents; see `networks.call`."""
    tokens = packed(noised)
    text = given["encoder_hidden_states"]
    height, width = noised.shape[-2:]
    network(
        hidden_states=tokens,
        timestep=timesteps.to(noised.dtype) / 1000,
        img_ids=coordinates(height, width, noised.device),
        txt_ids=tokens.new_zeros(text.shape[1], 3),
        return_dict=False,
        **given,
    )
