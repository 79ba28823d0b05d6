"""The FABRIC sampler: an action becomes images."""

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()  # before anything imports diffusers

from fabricbo.sampler.checkpoints import Checkpoint, load_pipeline  # noqa: E402
from fabricbo.sampler.feedback import (  # noqa: E402
    FeedbackInputs,
    ReferenceLatent,
    feedback,
    guided_noise,
)
from fabricbo.sampler.sampler import FabricSampler, SamplerOptions  # noqa: E402

__all__ = [
    "Checkpoint",
    "FabricSampler",
    "FeedbackInputs",
    "ReferenceLatent",
    "SamplerOptions",
    "feedback",
    "guided_noise",
    "load_pipeline",
]
