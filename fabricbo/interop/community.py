"""The diffusers community pipeline (`examples/community/pipeline_fabric.py`).

It is the authors' generator as a pipeline: its window, weights and scales are ours under other
names (huggingface/diffusers at 14b3a11), so that what is converted comes back as it was.
"""

import json
from collections.abc import Mapping
from typing import Any

from fabricbo.interop.recipe import (
    Converted,
    Recipe,
    bundled_notes,
    common_notes,
    file_names,
    number,
    seeds_of,
    text,
    whole,
)
from fabricbo.records import FabricParams

_SAME = ("min_weight", "max_weight", "neg_scale", "pos_bottleneck_scale", "neg_bottleneck_scale")
_RENAMED = {
    "feedback_start_ratio": "feedback_start",
    "feedback_end_ratio": "feedback_end",
    "num_inference_steps": "denoising_steps",
    "guidance_scale": "guidance_scale",
    **{name: name for name in _SAME},
}
DEFAULTS = FabricParams(
    feedback_start=0.33,
    feedback_end=0.66,
    min_weight=0.05,
    max_weight=0.8,
    guidance_scale=7.0,
)
"""Of its `__call__`."""
_NEGATIVE = "lowres, bad anatomy, bad hands, cropped, worst quality"
"""Its own negative prompt, where none is given."""
_SCALED = frozenset(
    {
        *("EulerDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler"),
        *("KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverSDEScheduler"),
    }
)
"""Schedulers that scale what the U-Net sees; it scales references for Euler ancestral only."""


def community_arguments(recipe: Recipe) -> Converted[dict[str, Any]]:
    """Return what to call the pipeline with; the seed goes into a generator, and stands beside."""
    width, height = recipe.size or (512, 512)
    settings = {theirs: getattr(recipe.params, ours) for theirs, ours in _RENAMED.items()}
    arguments = {
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative_prompt,
        "liked": list(recipe.liked),
        "disliked": list(recipe.disliked),
        "num_images": recipe.images,
        "width": width,
        "height": height,
        **settings,
    }
    notes = [*common_notes(recipe), *bundled_notes(recipe)]
    if recipe.solver is not None and recipe.solver.diffusers in _SCALED:
        notes.append(
            f"under {recipe.solver.diffusers} it does not scale references as the U-Net expects; "
            "under Euler ancestral or DDIM it does"
        )
    return Converted(arguments, tuple(notes))


def read_community_arguments(data: Mapping[str, Any]) -> Converted[Recipe]:
    """Read arguments of the pipeline; those that are missing have its defaults.

    Raises:
        ValueError: one is unknown, or has a wrong value.
    """
    others = {"prompt", "negative_prompt", "liked", "disliked", "num_images", "width", "height"}
    unknown = sorted(set(data) - others - set(_RENAMED) - {"seed"})
    if unknown:
        raise ValueError(f"the pipeline has no argument {unknown[0][:60]!r}")
    values = {
        ours: number(data, theirs, getattr(DEFAULTS, ours)) for theirs, ours in _RENAMED.items()
    }
    recipe = Recipe(
        params=FabricParams.from_json(values),
        prompt=text(data, "prompt"),
        negative_prompt=text(data, "negative_prompt", _NEGATIVE),
        seeds=seeds_of(whole(data, "seed", -1), whole(data, "num_images", 4)),
        size=(whole(data, "width", 512), whole(data, "height", 512)),
        liked=file_names(data, "liked"),
        disliked=file_names(data, "disliked"),
    )
    return Converted(recipe)


def community_json(recipe: Recipe) -> str:
    """Return the arguments as JSON, with the seed of the generator."""
    arguments = community_arguments(recipe).value
    return json.dumps({**arguments, "seed": recipe.seed or 0}, indent=4)
