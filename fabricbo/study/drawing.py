"""Drawing and scoring the images of one trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabricbo.protocols import Objective, Proposer, Sampler
from fabricbo.records import Action, Score
from fabricbo.scoring import evaluate
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
    """Draw one image a seed, and score them, in batches as large as a trial's.

    So an objective that gives one number for a batch gives one for each of them.

    Raises:
        ObjectiveError: the objective raised, or returned what is no score.
    """
    images: list[Image] = []
    values: list[float] = []
    for start in range(0, len(seeds), settings.images):
        batch = parts.sampler(action, settings.prompt, seeds[start : start + settings.images])
        values += evaluate(parts.objective, batch, settings.prompt).values
        images += batch
    return images, Score(tuple(values))
