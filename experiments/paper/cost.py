"""What a run costs: U-Net evaluations, counted in one place for all systems.

One evaluation is one latent through the U-Net once. A guided image takes two a denoising step. A
reference takes one at each step at which its weight is not 0; with fixed reference noise it is
computed once for a run, and later rounds use it again (the authors' code computes it anew). Our
sampler runs a reference for two steps at once, so up to one more at each end of a window; that is
not counted: no image needs it, and all systems have it alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from fabricbo.records import Action, FabricParams
from fabricbo.sampler.schedule import disliked_pair, feedback_weight, liked_pair


def plain_evaluations(params: FabricParams, images: int) -> int:
    """Return what images without references cost."""
    return images * params.denoising_steps * (2 if params.guidance_scale > 1 else 1)


@dataclass
class Meter:
    """Adds up what the rounds of one run cost."""

    evaluations: int = 0
    _seen: set[tuple[str, int]] = field(default_factory=set)

    def add(self, action: Action, images: int) -> None:
        """Count the images of a round, and the references that were not met before."""
        self.evaluations += plain_evaluations(action.params, images)
        needed = set(_reference_passes(action))
        self.evaluations += len(needed - self._seen)
        self._seen |= needed


def _reference_passes(action: Action) -> Iterable[tuple[str, int]]:
    params = action.params
    for step in range(params.denoising_steps):
        weight = feedback_weight(step, params.denoising_steps, params)
        if max(liked_pair(weight, params)) > 0:
            yield from ((reference.id, step) for reference in action.liked)
        if max(disliked_pair(weight, params)) > 0:
            yield from ((reference.id, step) for reference in action.disliked)
