"""References on their way into the sampler: pixels to latents."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from fabricbo.imagefiles import to_rgb
from fabricbo.records import Reference
from fabricbo.sampler.inputs import ReferenceLatent

ReferenceFit = Literal["stretch", "crop"]
"""How a reference of another shape is made to fit: `stretch` (the authors), or centre `crop`."""


class ReferenceEncoder:
    """Encodes references through a VAE and remembers the latents by identity and size."""

    def __init__(self, vae: Any, fit: ReferenceFit = "stretch") -> None:
        self._vae = vae
        self._fit = fit
        self._latents: dict[tuple[str, int, int], ReferenceLatent] = {}

    def __call__(
        self, references: Sequence[Reference], width: int, height: int
    ) -> tuple[ReferenceLatent, ...]:
        """Return the latents of references at a size in pixels."""
        return tuple(self._encode(reference, width, height) for reference in references)

    def _encode(self, reference: Reference, width: int, height: int) -> ReferenceLatent:
        key = (reference.id, width, height)
        if key not in self._latents:
            latents = self.latents(reference.image, width, height)
            self._latents[key] = ReferenceLatent(reference.id, latents)
        return self._latents[key]

    def latents(
        self, image: Image.Image, width: int, height: int
    ) -> Float[Tensor, "1 channels height width"]:
        """Encode an image of any size and mode; this is not remembered."""
        return encode(self._vae, resize(image, width, height, self._fit))


def resize(image: Image.Image, width: int, height: int, fit: ReferenceFit) -> Image.Image:
    """Bring an image of any size and mode to RGB at a size in pixels."""
    rgb = to_rgb(image)
    if fit == "crop":
        return ImageOps.fit(rgb, (width, height), Image.Resampling.BICUBIC)
    return rgb.resize((width, height), Image.Resampling.BICUBIC)


@torch.no_grad()
def encode(vae: Any, image: Image.Image) -> Float[Tensor, "1 channels height width"]:
    """Encode an RGB image as latents, scaled (Stable Diffusion 3: and shifted) for the network.

    A VAE with a distribution gives its mode, which needs no random numbers (the authors draw
    from it); `AutoencoderTiny` gives latents directly. One that overflows in half
    precision (SDXL's) works in float32 meanwhile.
    """
    dtype = vae.dtype
    upcast = dtype == torch.float16 and getattr(vae.config, "force_upcast", False)
    if upcast:
        vae.to(torch.float32)
    try:
        return _encode(vae, image).to(dtype)
    finally:
        if upcast:
            vae.to(dtype)


def _encode(vae: Any, image: Image.Image) -> Float[Tensor, "1 channels height width"]:
    levels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    pixels = (levels.float() / 127.5 - 1).to(vae.device, vae.dtype)
    encoded = vae.encode(pixels)
    latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    shift = getattr(vae.config, "shift_factor", None)
    if shift:
        latents = latents - shift
    return latents * vae.config.scaling_factor  # type: ignore[no-any-return]
