"""Drawing the images of a trial again, to compare them with what is kept, or to put them back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fabricbo.executors.drawing import Plan, all_images, draw
from fabricbo.executors.work import drawn_with
from fabricbo.imagefiles import pixel_hash, to_rgb
from fabricbo.protocols import Environment, Sampler
from fabricbo.records import Trial
from fabricbo.study import Study
from fabricbo.study.origin import Origin, origins
from fabricbo.study.work import plan_of

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Again:
    """One image of a trial, drawn again."""

    identity: str
    """Of the image that is kept."""
    origin: Origin
    """How it was drawn now."""
    image: "Image"
    """As it was drawn now."""
    equal: bool
    """Whether each pixel is."""

    @property
    def prompt(self) -> str:
        """What it was drawn for."""
        return self.origin.prompt

    @property
    def seed(self) -> int:
        """It was drawn with."""
        return self.origin.seed


def draw_again(study: Study, trial: Trial, sampler: Sampler) -> list[Again]:
    """Draw a trial's images again, in batches of the same sizes.

    Raises:
        ValueError: it has no images.
    """
    plan = plan_of(study.settings, trial)
    told = origins(study.settings, trial, plan, drawn_with=drawn_with(sampler))
    return _again(trial, sampler, plan, trial.images, told)


def draw_held_out_again(study: Study, trial: Trial, sampler: Sampler) -> list[Again]:
    """Draw again what was held out of a trial.

    Raises:
        ValueError: nothing was.
    """
    row = study.heldout_rows.get(trial.index)
    settings = study.settings
    prompts = tuple(dict.fromkeys((*settings.prompts, *settings.heldout_prompts)))
    kept, seeds = (row.images, row.seeds) if row is not None else ((), ())
    plan = Plan(dict.fromkeys(prompts, seeds), settings.images)
    told = origins(settings, trial, plan, drawn_with=drawn_with(sampler), held_out=True)
    return _again(trial, sampler, plan, kept, told)


def _again(
    trial: Trial, sampler: Sampler, plan: Plan, kept: Sequence[str], told: Sequence[Origin]
) -> list[Again]:
    if not kept:
        raise ValueError(f"trial {trial.index} has no images to compare with")
    drawn = [to_rgb(image) for image in all_images(draw(sampler, trial.action, plan))]
    return [
        Again(identity, origin, image, pixel_hash(image) == identity)
        for identity, origin, image in zip(kept, told, drawn, strict=True)
    ]


def changes(then: Environment, now: Environment) -> list[str]:
    """Return what images depend on that is not as it was, in words."""
    before, after = _flat(then), _flat(now)
    return [
        f"{name}: {before.get(name, 'not known')} then, {after.get(name, 'not known')} now"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _flat(environment: Environment, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in environment.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def difference(one: "Image", other: "Image") -> tuple[float, int]:
    """Return the share of pixel values that differ between images of one size, and the most."""
    apart = np.abs(np.asarray(one, dtype=np.int16) - np.asarray(other, dtype=np.int16))
    return float((apart > 0).mean()), int(apart.max())
