"""Drawing and scoring the images of one trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabricbo.objective import evaluate
from fabricbo.protocols import Objective, Proposer, Sampler
from fabricbo.records import Action, Score
from fabricbo.study.settings import StudySettings

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Parts:
    """What a study works with. It never makes them itself."""

    proposer: Proposer
    sampler: Sampler
    objective: Objective


def draw_and_score(
    parts: Parts, action: Action, settings: StudySettings, seeds: Sequence[int]
) -> tuple[list["Image"], Score]:
    """Draw one image a seed, in batches as large as a trial's, and score them.

    Raises:
        ObjectiveError: the objective raised, or returned what is no score.
    """
    images: list[Image] = []
    for start in range(0, len(seeds), settings.images):
        batch = seeds[start : start + settings.images]
        images += parts.sampler(action, settings.prompt, batch)
    return images, evaluate(parts.objective, images, settings.prompt)
