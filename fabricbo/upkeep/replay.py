"""Drawing the images of a trial again, to compare them with what is kept, or to put them back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fabricbo.executors.drawing import Plan, draw
from fabricbo.imagefiles import pixel_hash, to_rgb
from fabricbo.protocols import Environment, Sampler
from fabricbo.records import Trial
from fabricbo.study import Study

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Again:
    """One image of a trial, drawn again."""

    identity: str
    """Of the image that is kept."""
    prompt: str
    seed: int
    image: "Image"
    """As it was drawn now."""
    equal: bool
    """Whether each pixel is."""


def draw_again(study: Study, trial: Trial, sampler: Sampler) -> list[Again]:
    """Draw a trial's images again, in batches of the same sizes.

    Raises:
        ValueError: it has no images.
    """
    return _again(study, trial, sampler, trial.images, trial.seeds, study.settings.prompts)


def draw_held_out_again(study: Study, trial: Trial, sampler: Sampler) -> list[Again]:
    """Draw again what was held out of a trial.

    Raises:
        ValueError: nothing was.
    """
    row = study.heldout_rows.get(trial.index)
    settings = study.settings
    prompts = tuple(dict.fromkeys((*settings.prompts, *settings.heldout_prompts)))
    kept, seeds = (row.images, row.seeds) if row is not None else ((), ())
    return _again(study, trial, sampler, kept, seeds, prompts)


def _again(
    study: Study,
    trial: Trial,
    sampler: Sampler,
    kept: Sequence[str],
    seeds: Sequence[int],
    prompts: Sequence[str],
) -> list[Again]:
    if not kept:
        raise ValueError(f"trial {trial.index} has no images to compare with")
    plan = Plan(dict.fromkeys(prompts, tuple(seeds)), study.settings.images)
    batches = draw(sampler, trial.action, plan)
    drawn = [
        (batch.prompt, seed, to_rgb(image))
        for batch in batches
        for seed, image in zip(batch.seeds, batch.images, strict=True)
    ]
    return [
        Again(identity, prompt, seed, image, pixel_hash(image) == identity)
        for identity, (prompt, seed, image) in zip(kept, drawn, strict=True)
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
