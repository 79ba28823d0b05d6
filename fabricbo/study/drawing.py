"""Drawing and scoring the images of one trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabricbo.protocols import Objective, Proposer, Sampler
from fabricbo.records import Action
from fabricbo.scores import Direction, OverPrompts, Score
from fabricbo.scoring import declaration, evaluate
from fabricbo.study.settings import StudySettings

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Parts:
    """What a study works with. It never makes them itself."""

    proposer: Proposer
    sampler: Sampler
    objective: Objective | Mapping[str, Objective] | None
    """What scores: one, several by name, or nothing where people judge."""

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """What scores, by name; a single one by the name that it declares."""
        return objectives_by_name(self.objective)


def objectives_by_name(
    objective: Objective | Mapping[str, Objective] | None,
) -> Mapping[str, Objective]:
    """Return one objective by the name that it declares, several as they are."""
    if objective is None:
        return {}
    if isinstance(objective, Mapping):
        return objective
    return {declaration(objective).name: objective}


def draw_and_score(
    parts: Parts, action: Action, settings: StudySettings, seeds: Sequence[int]
) -> tuple[list["Image"], dict[str, Score]]:
    """Draw one image a prompt and seed, and score them by each objective, by its name.

    Images and values come prompt after prompt. They are drawn and scored in batches as large as
    a trial's, so an objective that gives one number for a batch gives one for each of them.

    Raises:
        ObjectiveError: an objective raised, or returned what is no score.
    """
    images: list[Image] = []
    values: dict[str, list[float]] = {name: [] for name in parts.objectives}
    for prompt in settings.prompts:
        for start in range(0, len(seeds), settings.images):
            batch = parts.sampler(action, prompt, seeds[start : start + settings.images])
            for name, objective in parts.objectives.items():
                values[name] += evaluate(objective, batch, prompt).values
            images += batch
    return images, {
        name: score_over_prompts(values[name], settings, declaration(objective).direction)
        for name, objective in parts.objectives.items()
    }


def score_over_prompts(
    values: Sequence[float], settings: StudySettings, direction: Direction
) -> Score:
    """Return a score of values that come prompt after prompt.

    Raises:
        ValueError: not as many for each prompt, or one that is not finite.
    """
    worst: OverPrompts = "min" if direction == "maximize" else "max"
    over = worst if settings.over_prompts == "worst" else "mean"
    return Score(tuple(values), len(settings.prompts), over)
