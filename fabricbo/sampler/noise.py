"""Noise for references: from seeds of its own, never from global random state.

The seed of a reference's noise derives from its identity, so that whatever else is in a
batch, a trial or a round, the same reference at the same timestep has the same features.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

ReferenceNoiseKind = Literal["fixed", "fresh"]
"""`fixed`: drawn once for a reference; `fresh`: new at every denoising step (as the authors do)."""


ReferenceNoise = Callable[[str, int, Sequence[int]], Tensor]
"""Gives float32 noise on the CPU for a reference's identity, a denoising step and a shape."""


def fixed_noise(
    reference_id: str, _step: int, shape: Sequence[int]
) -> Float[Tensor, "1 channels height width"]:
    """Return the same noise at every step."""
    return _draw(reference_id, shape)


def fresh_noise(
    reference_id: str, step: int, shape: Sequence[int]
) -> Float[Tensor, "1 channels height width"]:
    """Return other noise at each step."""
    return _draw(f"{reference_id} {step}", shape)


ANY_STEP: frozenset[ReferenceNoise] = frozenset({fixed_noise, fresh_noise})
"""Those that may be asked for any step in any order. One of a user's own may read what was
recorded, for the steps where feedback acts."""


def _draw(name: str, shape: Sequence[int]) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
