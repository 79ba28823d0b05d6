"""What is common to all images that a sampler draws."""

import math
from dataclasses import dataclass

from fabricbo.sampler.merging import MOST
from fabricbo.sampler.noise import ReferenceNoise, ReferenceNoiseKind, fixed_noise, fresh_noise
from fabricbo.sampler.references import ReferenceFit

NOISES: dict[str, ReferenceNoise] = {"fixed": fixed_noise, "fresh": fresh_noise}
"""By what `SamplerOptions.reference_noise` says."""


@dataclass(frozen=True, slots=True)
class SamplerOptions:
    """What is common to all images of a study besides the action.

    Raises:
        ValueError: a size that is not a positive multiple of 8, no image at once, a stride below
            1, too large a share, no memory, guidance below 0, or an unknown choice.
    """

    negative_prompt: str = ""
    width: int | None = None
    """Pixels, a multiple of 8; None takes the checkpoint's own size."""
    height: int | None = None
    reference_noise: ReferenceNoiseKind = "fixed"
    reference_fit: ReferenceFit = "stretch"
    cache_bytes: int | None = None
    """Budget for reference features on the device; None: a share of what is free, see
    `FeatureCache`."""
    host_cache_bytes: int | None = None
    """The same in the host's memory, for what does not fit on a GPU."""
    images_at_once: int | None = None
    """How many images go through the U-Net in one call, at least 1; None: all that are asked for.
    Fewer need less memory; the same images up to rounding."""
    lean: bool = False
    """Whether references are attended to one after the other; less memory, the same images up to
    rounding."""
    feedback_levels: tuple[int, ...] | None = None
    """U-Net levels that feedback acts at, 0 the outermost, the number of down blocks the
    bottleneck; None: all, as in the paper."""
    merge_tokens: float = 0.0
    """Share of each reference's tokens that are merged into others like them, 0 to 0.5 (arXiv
    2303.17604): less memory and time, other images."""
    reference_stride: int = 1
    """References go through the U-Net at every so many-th denoising step, and what that gives
    serves until the next: less memory, less time while they are new, other images. 1: at each, as
    in the paper."""
    max_memory: int | None = None
    """Bytes that feedback may hold on the device beyond plain sampling, above 0 (see
    `fabricbo.sampler.memory`); None: no bound. Budget of features, `lean` and `images_at_once`
    follow from it, where they are not given."""
    distilled_guidance: float = 3.5
    """What FLUX.1 [dev] is told of guidance, at least 0; others are not told. Its own
    `guidance_scale` in diffusers, from where the usual value is."""

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            value = getattr(self, name)
            if value is not None and (value <= 0 or value % 8):
                raise ValueError(f"{name} must be a positive multiple of 8 pixels, got {value}")
        if self.reference_noise not in NOISES:
            raise ValueError(f"reference_noise must be fixed or fresh, got {self.reference_noise}")
        if self.reference_fit not in ("stretch", "crop"):
            raise ValueError(f"reference_fit must be stretch or crop, got {self.reference_fit}")
        if self.images_at_once is not None and self.images_at_once < 1:
            raise ValueError(f"images_at_once must be at least 1, got {self.images_at_once}")
        if self.reference_stride < 1:
            raise ValueError(f"reference_stride must be at least 1, got {self.reference_stride}")
        if not 0 <= self.distilled_guidance < math.inf:
            raise ValueError(
                f"distilled_guidance must be at least 0, got {self.distilled_guidance}"
            )
        if self.max_memory is not None and self.max_memory < 1:
            raise ValueError(f"max_memory must be above 0 bytes, got {self.max_memory}")
        if not 0 <= self.merge_tokens <= MOST:
            raise ValueError(f"merge_tokens must be between 0 and {MOST}, got {self.merge_tokens}")
