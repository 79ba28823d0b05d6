"""The systems of the paper, its ablations, and the rivals, with the authors' settings.

Settings are those of the authors' experiments (github.com/sd-fabric/fabric, `fabric/configs/
preference_model_feedback.yaml` and `target_image_feedback.yaml`, alike in both).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fabricbo.records import FabricParams

HAND = FabricParams(
    feedback_start=0.0,
    feedback_end=0.8,
    min_weight=0.0,
    max_weight=0.3,
    neg_scale=0.5,
    guidance_scale=6.0,
    denoising_steps=20,
)
"""The authors' hand settings."""
NEGATIVE_PROMPT = "lowres, bad anatomy, bad hands, cropped, worst quality"
"""The authors' negative prompt."""
ROUNDS = 3
IMAGES = 4
"""A round."""
BEST_OF_N = "best-of-n"


@dataclass(frozen=True, slots=True)
class System:
    """What draws, and which feedback it is given."""

    title: str
    liked: bool = False
    """Whether it is given the best images of earlier rounds."""
    disliked: bool = False
    """Whether it is given the worst ones."""
    lora: bool = False
    found: bool = False
    """Whether its settings are those that fabricbo found, in place of the hand settings."""
    changes: Mapping[str, float] = field(default_factory=dict)
    """What differs from the hand settings."""

    def params(self, hand: FabricParams, found: FabricParams | None) -> FabricParams:
        """Return its settings.

        Raises:
            ValueError: it needs found settings, and there are none.
        """
        if not self.found:
            return replace(hand, **self.changes)  # type: ignore[arg-type]
        if found is None:
            raise ValueError(f"{self.title} needs settings that were found, and there are none")
        return found


SYSTEMS: Mapping[str, System] = {
    "sd": System("Stable Diffusion"),
    "sd-lora": System("+ HPS LoRA", lora=True),
    "fabric": System("FABRIC", liked=True, disliked=True),
    "fabric-lora": System("FABRIC + HPS LoRA", liked=True, disliked=True, lora=True),
    "fabric-found": System("FABRIC, found settings", liked=True, disliked=True, found=True),
    "fabric-lora-found": System(
        "FABRIC + HPS LoRA, found settings", liked=True, disliked=True, lora=True, found=True
    ),
    BEST_OF_N: System("best of N"),
    "fabric-liked": System("liked only", liked=True),
    "fabric-first-half": System(
        "first half", liked=True, disliked=True, changes={"feedback_end": 0.5}
    ),
    "fabric-second-half": System(
        "second half",
        liked=True,
        disliked=True,
        changes={"feedback_start": 0.5, "feedback_end": 1.0},
    ),
    "fabric-all-steps": System(
        "all steps", liked=True, disliked=True, changes={"feedback_end": 1.0}
    ),
    "fabric-dropout": System(
        "dropout 0.3", liked=True, disliked=True, changes={"prompt_dropout": 0.3}
    ),
}
"""By name, in the order in which they are played: what one draws, the next may share."""
EQUAL_TO = "fabric"
"""Whose U-Net evaluations the best of N may use."""
