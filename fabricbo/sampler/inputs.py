"""What feedback is given: references as the U-Net sees them, and which images get which."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from fabricbo.records import FabricParams, check_strength
from fabricbo.sampler.features import FeatureCache
from fabricbo.sampler.noise import ReferenceNoise, fixed_noise


@dataclass(frozen=True)
class ReferenceLatent:
    """A reference as the network sees it.

    Raises:
        ValueError: a strength that is not finite and above 0.
    """

    id: str
    latents: Float[Tensor, "1 channels height width"]
    """Clean, scaled by the VAE's scaling factor, and shifted where it has a shift factor."""
    strength: float = 1.0
    """Factor on its feedback weight, above 0; its features do not depend on it."""

    def __post_init__(self) -> None:
        check_strength(self.strength)


@dataclass(frozen=True)
class FeedbackInputs:
    """What `feedback` needs to know of the references.

    Raises:
        ValueError: a stride below 1.
    """

    null_embeds: Float[Tensor, "1 tokens embed"]
    """Embedding of the empty prompt."""
    liked: tuple[ReferenceLatent, ...] = ()
    disliked: tuple[ReferenceLatent, ...] = ()
    noise: ReferenceNoise = fixed_noise
    cache: FeatureCache = field(default_factory=FeatureCache)
    """Belongs to the checkpoint; share it between calls."""
    null_added: Mapping[str, Tensor] = field(default_factory=dict)
    """Added conditions of the empty prompt, where the network wants some: SDXL's `text_embeds`,
    Stable Diffusion 3's and FLUX's `pooled_projections`, `1 channels`; PixArt's
    `encoder_attention_mask`, `1 tokens`."""
    levels: frozenset[int] | None = None
    """U-Net levels that feedback acts at: 0 is the outermost, the number of down blocks the
    bottleneck; None: all. Common to the images of a batch, as are the next three."""
    lean: bool = False
    """Whether references go through the network for one step at a time and are attended to one
    after the other, as keys and values only when their turn comes: the same images up to rounding,
    in less memory and more time."""
    merge: float = 0.0
    """Share of each reference's tokens that are merged into others like them, at most
    `merging.MOST`."""
    stride: int = 1
    """References go through the U-Net at every so many-th denoising step, and what that gives
    serves until the next; 1: at each step, as in the paper. With a scheduler of second order, too,
    it is each."""

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise ValueError(f"stride must be at least 1, got {self.stride}")

    @property
    def way(self) -> Hashable:
        """What images of one batch must have in common."""
        return self.levels, self.lean, self.merge, self.stride


@dataclass(frozen=True)
class Share:
    """Some images of a batch, and the feedback that they get."""

    images: int | None
    """How many of them, one after the other; None: all."""
    params: FabricParams
    inputs: FeedbackInputs
