"""The authors' own generator (sd-fabric/fabric at 362bb5f): a configuration for `run_single.py`.

Its window and weights are ours (`fabric/generator.py`, `generate`). `run_single.py` reads
`fabric/configs/single_round.yaml` and hands over neither bottleneck scales nor a size.
"""

import json
from collections.abc import Mapping
from typing import Any

from fabricbo.interop.quoting import quoted
from fabricbo.interop.recipe import (
    Converted,
    Recipe,
    bundled_notes,
    checkpoint_of,
    common_notes,
    file_names,
    number,
    seeds_of,
    text,
    whole,
)
from fabricbo.interop.solvers import solver_named
from fabricbo.records import FabricParams

_FEEDBACK = {
    "start": "feedback_start",
    "end": "feedback_end",
    "min_weight": "min_weight",
    "max_weight": "max_weight",
    "neg_scale": "neg_scale",
}
_TOP = ("denoising_steps", "guidance_scale")
DEFAULTS = FabricParams(
    feedback_start=0.33, feedback_end=0.66, min_weight=0.1, max_weight=1.0, guidance_scale=8.0
)
"""Of `generate`."""
_SCHEDULER = "EulerAncestralDiscreteScheduler"
_SIZE = (512, 512)


def authors_config(recipe: Recipe) -> Converted[dict[str, Any]]:
    """Return the configuration, as `single_round.yaml` has it."""
    params, name = recipe.params, checkpoint_of(recipe).value
    is_file = name.endswith(".safetensors")
    config: dict[str, Any] = {
        "model_version": "1.5",
        "model_ckpt": name if is_file else None,
        "model_name": None if is_file else name,
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative_prompt,
        "liked": list(recipe.liked),
        "disliked": list(recipe.disliked),
        "n_images": recipe.images,
        **{key: getattr(params, key) for key in _TOP},
        "seed": recipe.seed or 0,
        "feedback": {theirs: getattr(params, ours) for theirs, ours in _FEEDBACK.items()},
    }
    return Converted(config, _lost(recipe))


def _lost(recipe: Recipe) -> tuple[str, ...]:
    params = recipe.params
    notes = [*common_notes(recipe), *checkpoint_of(recipe).notes, *bundled_notes(recipe)]
    scales = (params.pos_bottleneck_scale, params.neg_bottleneck_scale)
    if scales != (1, 1):
        notes.append(
            "run_single.py hands over no bottleneck scales: call generate with pos_bottleneck_scale"
            f"={scales[0]:g}, neg_bottleneck_scale={scales[1]:g}"
        )
    if recipe.size not in (None, _SIZE):
        notes.append("it draws 512 x 512 pixels only")
    if recipe.solver is not None and recipe.solver.diffusers != _SCHEDULER:
        notes.append("it draws with Euler ancestral, whatever the checkpoint's scheduler is")
    return tuple(notes)


def authors_yaml(recipe: Recipe) -> str:
    """Return the configuration as YAML."""
    config = authors_config(recipe).value
    lines = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            lines += [f"{key}:", *(f"  {k}: {_yaml(v)}" for k, v in value.items())]
        else:
            lines.append(f"{key}: {_yaml(value)}")
    return "\n".join(lines) + "\n"


def _yaml(value: object) -> str:
    """Return a value as YAML 1.1 reads it: to it, 1e-06 is a text, and 1.0e-06 a number."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    said = json.dumps(value)
    if isinstance(value, float) and "e" in said and "." not in said:
        return said.replace("e", ".0e")
    return said


def read_authors_config(data: Mapping[str, Any]) -> Converted[Recipe]:
    """Read a configuration of one round; what is missing has the defaults of `generate`.

    Raises:
        ValueError: `feedback` is missing, or a value is wrong.
    """
    feedback = data.get("feedback")
    if not isinstance(feedback, Mapping):
        raise ValueError("a configuration of the authors has a table `feedback`")
    values = {
        ours: number(feedback, theirs, getattr(DEFAULTS, ours))
        for theirs, ours in _FEEDBACK.items()
    }
    values |= {key: number(data, key, getattr(DEFAULTS, key)) for key in _TOP}
    dropout = number(data, "prompt_dropout", 0.0)
    recipe = Recipe(
        params=FabricParams.from_json({**values, "prompt_dropout": dropout}),
        prompt=text(data, "prompt"),
        negative_prompt=text(data, "negative_prompt"),
        seeds=seeds_of(whole(data, "seed", -1), whole(data, "n_images", 1)),
        size=_SIZE,
        checkpoint=text(data, "model_ckpt") or text(data, "model_name"),
        liked=file_names(data, "liked"),
        disliked=file_names(data, "disliked"),
        solver=solver_named(_SCHEDULER),
    )
    return Converted(recipe)
