"""Drawing the images of one trial, and scoring them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fabricbo.protocols import Objective, Proposer, Sampler
from fabricbo.records import Action, Reference
from fabricbo.scores import Measure, OverPrompts, Score
from fabricbo.scoring import DrawnWith, declaration, evaluate
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
    reporters: Mapping[str, Objective] = field(default_factory=dict)
    """What scores baseline and best only, by name; the search never sees it."""

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


@dataclass(frozen=True)
class Batch:
    """Images that were drawn together: one prompt, a seed each."""

    prompt: str
    seeds: tuple[int, ...]
    images: tuple["Image", ...]


@dataclass(frozen=True)
class Scene:
    """What objectives may ask about the images of a trial besides prompt and seeds."""

    action: Action
    references: tuple[Reference, ...]
    """The pool that the action chose from."""
    baseline: Callable[[str], Sequence["Image"]]
    """What the hand settings drew for a prompt; nothing where they drew nothing."""


def draw(
    sampler: Sampler, action: Action, settings: StudySettings, plan: Mapping[str, Sequence[int]]
) -> list[Batch]:
    """Draw one image a prompt and seed, in batches as large as a trial's.

    Args:
        sampler: what draws.
        action: with which settings and references.
        settings: of the study.
        plan: the seeds of each prompt.
    """
    size = settings.images
    return [
        Batch(prompt, part, tuple(sampler(action, prompt, part)))
        for prompt, seeds in plan.items()
        for part in (tuple(seeds[i : i + size]) for i in range(0, len(seeds), size))
    ]


def score_values(
    objectives: Mapping[str, Objective], batches: Sequence[Batch], scene: Scene
) -> dict[str, list[float]]:
    """Score what was drawn by each objective; values by its name, batch after batch.

    An objective that gives one number for a batch gives one for each of them.

    Raises:
        ObjectiveError: an objective raised, or returned what is no score.
    """
    values: dict[str, list[float]] = {name: [] for name in objectives}
    for batch in batches:
        baseline = tuple(scene.baseline(batch.prompt))
        drawn = DrawnWith(scene.action, scene.references, batch.seeds, baseline)
        for name, objective in objectives.items():
            values[name] += evaluate(objective, batch.images, batch.prompt, drawn).values
    return values


def own_images(batches: Sequence[Batch], prompt: str) -> list["Image"]:
    """Return what was drawn for a prompt."""
    return [image for batch in batches if batch.prompt == prompt for image in batch.images]


def score_over_prompts(
    values: Sequence[float], prompts: int, settings: StudySettings, measure: Measure
) -> Score:
    """Return a score of values that come prompt after prompt.

    The worst prompt is the one with the lowest mean where higher is better; where a measure has
    bounds to keep, the one that is nearest to breaking them, or breaks them most.

    Raises:
        ValueError: not as many for each prompt, or one that is not finite.
    """
    if settings.over_prompts == "mean":
        return Score(tuple(values), prompts)
    return min(
        (Score(tuple(values), prompts, over) for over in _ENDS),
        key=lambda score: _worth(score.mean, measure),
    )


_ENDS: tuple[OverPrompts, ...] = ("min", "max")


def _worth(mean: float, measure: Measure) -> float:
    """Return how far a mean lies within the bounds, or how good it is where there are none."""
    if not measure.is_constraint:
        return mean if measure.direction == "maximize" else -mean
    low = math.inf if measure.at_least is None else mean - measure.at_least
    high = math.inf if measure.at_most is None else measure.at_most - mean
    return min(low, high)
