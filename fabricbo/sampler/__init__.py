"""The FABRIC sampler: an action becomes images."""

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()  # before anything imports diffusers

from fabricbo.sampler.checkpoints import (  # noqa: E402
    Checkpoint,
    hand_settings,
    load_pipeline,
    load_preview_decoder,
)
from fabricbo.sampler.features import FeatureCache  # noqa: E402
from fabricbo.sampler.feedback import feedback, guided_noise, shared_feedback  # noqa: E402
from fabricbo.sampler.inputs import FeedbackInputs, ReferenceLatent, Share  # noqa: E402
from fabricbo.sampler.options import SamplerOptions  # noqa: E402
from fabricbo.sampler.previews import Preview, Previews  # noqa: E402
from fabricbo.sampler.sampler import FabricSampler  # noqa: E402

__all__ = [
    "Checkpoint",
    "FabricSampler",
    "FeatureCache",
    "FeedbackInputs",
    "Preview",
    "Previews",
    "ReferenceLatent",
    "SamplerOptions",
    "Share",
    "feedback",
    "guided_noise",
    "hand_settings",
    "load_pipeline",
    "load_preview_decoder",
    "shared_feedback",
]
