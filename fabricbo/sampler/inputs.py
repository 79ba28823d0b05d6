"""What feedback is given: references as the U-Net sees them, and which images get which."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from fabricbo.records import FabricParams
from fabricbo.sampler.features import FeatureCache
from fabricbo.sampler.noise import ReferenceNoise, fixed_noise


@dataclass(frozen=True)
class ReferenceLatent:
    """A reference as the network sees it."""

    id: str
    latents: Float[Tensor, "1 channels height width"]
    """Clean, scaled by the VAE's scaling factor, and shifted where it has a shift factor."""


@dataclass(frozen=True)
class FeedbackInputs:
    """What `feedback` needs to know of the references."""

    null_embeds: Float[Tensor, "1 tokens embed"]
    """Embedding of the empty prompt."""
    liked: tuple[ReferenceLatent, ...] = ()
    disliked: tuple[ReferenceLatent, ...] = ()
    noise: ReferenceNoise = fixed_noise
    cache: FeatureCache = field(default_factory=FeatureCache)
    """Belongs to the checkpoint; share it between calls."""
    null_added: Mapping[str, Tensor] = field(default_factory=dict)
    """Added conditions of the empty prompt, where the network wants some: SDXL's `text_embeds` and
    Stable Diffusion 3's `pooled_projections`, `1 channels`; PixArt's `encoder_attention_mask`,
    `1 tokens`."""
    levels: frozenset[int] | None = None
    """U-Net levels that feedback acts at: 0 is the outermost, the number of down blocks the
    bottleneck; None: all. Common to the images of a batch, as are the next two."""
    lean: bool = False
    """Whether references are attended to one after the other, as keys and values only when their
    turn comes: the same images up to rounding, in less memory and more time."""
    merge: float = 0.0
    """Share of each reference's tokens that are merged into others like them, at most
    `merging.MOST`."""


@dataclass(frozen=True)
class Share:
    """Some images of a batch, and the feedback that they get."""

    images: int | None
    """How many of them, one after the other; None: all."""
    params: FabricParams
    inputs: FeedbackInputs
