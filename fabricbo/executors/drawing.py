"""Drawing images in batches, and scoring them."""

import gc
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from fabricbo.protocols import Batching, Deferring, Drawing, Objective, Sampler
from fabricbo.records import Action, Reference
from fabricbo.scoring import DrawnWith, evaluate

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Images of one prompt, a seed each, that objectives see together."""

    prompt: str
    seeds: tuple[int, ...]
    images: tuple["Image", ...]


@dataclass(frozen=True)
class Scene:
    """What objectives may ask about images besides prompt and seeds."""

    action: Action
    references: tuple[Reference, ...]
    """The pool that the action chose from."""
    baseline: Callable[[str], Sequence["Image"]]
    """What the hand settings drew for a prompt; nothing where they drew nothing."""


@dataclass(frozen=True)
class Plan:
    """What is drawn: one image a prompt and seed."""

    seeds: Mapping[str, tuple[int, ...]]
    """Of each prompt."""
    size: int
    """How many images are drawn together: as many as a trial has of a prompt."""

    @property
    def parts(self) -> list[tuple[str, tuple[int, ...]]]:
        """The batches' prompts and seeds."""
        size = self.size
        return [
            (prompt, seeds[i : i + size])
            for prompt, seeds in self.seeds.items()
            for i in range(0, len(seeds), size)
        ]

    @property
    def images(self) -> int:
        """How many images that makes."""
        return sum(len(seeds) for _, seeds in self.parts)


Finish = Callable[[], list[Batch]]
"""Does what is left to do, once, and returns what was planned."""


def draw(sampler: Sampler, action: Action, plan: Plan) -> list[Batch]:
    """Draw what is planned.

    Where the device has not enough memory for a batch, it is drawn in two halves, once: each image
    has a random generator of its own, so that the images are the same up to rounding.
    """
    return begin(sampler, action, plan)()


def begin(sampler: Sampler, action: Action, plan: Plan) -> Finish:
    """Draw the same, up to what the sampler can leave for later."""
    begun = [_begin(sampler, action, prompt, seeds) for prompt, seeds in plan.parts]

    def finish() -> list[Batch]:
        return [
            Batch(prompt, seeds, tuple(image for images in several for image in images()))
            for (prompt, seeds), several in zip(plan.parts, begun, strict=True)
        ]

    return finish


def begin_together(
    sampler: Batching, actions: Sequence[Action], plans: Sequence[Plan]
) -> list[Finish]:
    """Begin what is planned of several actions, each batch of one with those of the others."""
    found: list[list[Callable[[], Batch]]] = [[] for _ in actions]
    for part in range(max(len(plan.parts) for plan in plans)):
        those = [i for i, plan in enumerate(plans) if part < len(plan.parts)]
        drawings = [Drawing(actions[i], *plans[i].parts[part]) for i in those]
        images = cache(_begun(sampler, drawings))
        for place, i in enumerate(those):
            found[i].append(partial(_batch_of, images, place, plans[i].parts[part]))
    return [partial(_all, several) for several in found]


def _begun(sampler: Batching, drawings: Sequence[Drawing]) -> Callable[[], list[list["Image"]]]:
    if isinstance(sampler, Deferring):
        return sampler.begin(drawings)
    images = sampler.together(drawings)
    return lambda: images


def _batch_of(
    images: Callable[[], list[list["Image"]]], place: int, part: tuple[str, tuple[int, ...]]
) -> Batch:
    return Batch(*part, tuple(images()[place]))


def _all(batches: Sequence[Callable[[], Batch]]) -> list[Batch]:
    return [batch() for batch in batches]


def _begin(
    sampler: Sampler, action: Action, prompt: str, seeds: Sequence[int]
) -> list[Callable[[], list["Image"]]]:
    """Begin a batch, in halves where memory is short."""
    try:
        return [_begin_one(sampler, Drawing(action, prompt, seeds))]
    except (RuntimeError, MemoryError) as error:
        if len(seeds) == 1 or not is_out_of_memory(error):
            raise
        _log.warning("not enough memory for %d images at once, drawing half as many", len(seeds))
    _free_memory()  # here the failed attempt's frames, and the tensors in them, are gone
    half = (len(seeds) + 1) // 2
    parts = (seeds[:half], seeds[half:])
    return [_begin_one(sampler, Drawing(action, prompt, part)) for part in parts]


def _begin_one(sampler: Sampler, drawing: Drawing) -> Callable[[], list["Image"]]:
    if isinstance(sampler, Deferring):
        finish = sampler.begin([drawing])
        return lambda: finish()[0]
    images = sampler(drawing.action, drawing.prompt, drawing.seeds)
    return lambda: images


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, of the machine or of an accelerator."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in said or "can't allocate memory" in said
    )


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")  # whoever draws with it has imported it
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_batches(plan: Plan, images: Sequence["Image"]) -> list[Batch]:
    """Return images that were drawn before as the batches that they are."""
    left = list(images)
    found = []
    for prompt, seeds in plan.parts:
        found.append(Batch(prompt, seeds, tuple(left[: len(seeds)])))
        del left[: len(seeds)]
    return found


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


def all_images(batches: Sequence[Batch]) -> tuple["Image", ...]:
    """Return all that was drawn, in order."""
    return tuple(image for batch in batches for image in batch.images)
