"""The FABRIC sampler: an action becomes images."""

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()  # before anything imports diffusers

from fabricbo.sampler.checkpoints import Checkpoint, hand_settings, load_pipeline  # noqa: E402
from fabricbo.sampler.features import FeatureCache  # noqa: E402
from fabricbo.sampler.feedback import feedback, guided_noise, shared_feedback  # noqa: E402
from fabricbo.sampler.inputs import FeedbackInputs, ReferenceLatent, Share  # noqa: E402
from fabricbo.sampler.sampler import FabricSampler, SamplerOptions  # noqa: E402

__all__ = [
    "Checkpoint",
    "FabricSampler",
    "FeatureCache",
    "FeedbackInputs",
    "ReferenceLatent",
    "SamplerOptions",
    "Share",
    "feedback",
    "guided_noise",
    "hand_settings",
    "load_pipeline",
    "shared_feedback",
]
