"""ComfyUI's FABRIC nodes (ssitu/ComfyUI_fabric at 952032c): a workflow in its API format.

The nodes know steps of the sampler: there is feedback from `feedback_start` up to, not including,
`feedback_end`, with one weight for liked and one for disliked references (`nodes.py`,
`fabric/fabric.py`). Outside there is none.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabricbo.interop.recipe import (
    Converted,
    Form,
    Recipe,
    bundled_notes,
    common_notes,
    prompt_notes,
    scale_notes,
)
from fabricbo.interop.solvers import Solver
from fabricbo.interop.timesteps import (
    Passes,
    Spacing,
    nearest_timesteps,
    pass_timesteps,
    step_timesteps,
)
from fabricbo.interop.windows import active_in_comfyui, comfyui_window, scaled

SCHEDULERS = {
    "normal": Spacing.LINEAR,
    "karras": Spacing.KARRAS,
    "exponential": Spacing.EXPONENTIAL,
    "sgm_uniform": Spacing.SGM,
    "simple": Spacing.SIMPLE,
    "ddim_uniform": Spacing.LEADING,
}
"""`comfy/samplers.py`, `calculate_sigmas_scheduler`."""
MOST_WEIGHT = 1.0
"""Of the nodes' inputs; ComfyUI refuses more."""
MOST_STEP = 10_000
_OUR_SIZE = (512, 512)


@dataclass(frozen=True, slots=True)
class Timetable:
    """When ComfyUI runs the U-Net, in whole timesteps, falling."""

    steps: list[float]
    """Of each of the sampler's steps."""
    passes: list[float]
    """Of each U-Net pass."""


def comfyui_timetable(solver: Solver | None, spacing: Spacing, steps: int) -> Timetable:
    """Return when ComfyUI runs the U-Net; whole timesteps, since FABRIC's nodes look for these."""
    discards = solver is not None and solver.discards
    each = step_timesteps(spacing, steps + discards)[: steps if discards else None]
    passes = pass_timesteps(each, Passes.ONE if solver is None else solver.passes)
    return Timetable(nearest_timesteps(each).tolist(), nearest_timesteps(passes).tolist())


@dataclass(slots=True)
class _Graph:
    """Nodes under numbers, as ComfyUI names them."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, kind: str, **inputs: Any) -> list[Any]:
        """Add a node and return the link to its first output."""
        key = str(len(self.nodes) + 1)
        self.nodes[key] = {"class_type": kind, "inputs": inputs}
        return [key, 0]


def comfyui_workflow(recipe: Recipe) -> Converted[dict[str, Any]]:
    """Return a workflow in ComfyUI's API format, from checkpoint to saved images.

    Its references are files of ComfyUI's `input` folder; the checkpoint is one of its
    `models/checkpoints`.
    """
    graph = _Graph()
    loader = graph.add("CheckpointLoaderSimple", ckpt_name=_checkpoint_file(recipe.checkpoint))
    model, clip, vae = ([loader[0], output] for output in range(3))
    width, height = recipe.size or _OUR_SIZE
    positive = graph.add("CLIPTextEncode", clip=clip, text=recipe.prompt)
    negative = graph.add("CLIPTextEncode", clip=clip, text=recipe.negative_prompt)
    empty = graph.add("CLIPTextEncode", clip=clip, text="")
    latent = graph.add("EmptyLatentImage", width=width, height=height, batch_size=recipe.images)
    named = {
        f"{verdict}_latents": _latents(graph, names, vae, (width, height))
        for verdict, names in (("pos", recipe.liked), ("neg", recipe.disliked))
        if names
    }
    values, notes = _sampler_inputs(recipe)
    sampled = graph.add(
        "KSamplerFABRICAdv",
        model=model,
        **values,
        positive=positive,
        negative=negative,
        latent_image=latent,
        null_pos=empty,
        null_neg=empty,
        **named,
    )
    decoded = graph.add("VAEDecode", samples=sampled, vae=vae)
    graph.add("SaveImage", images=decoded, filename_prefix="fabric")
    return Converted(graph.nodes, notes)


def _checkpoint_file(checkpoint: str) -> str:
    name = Path(checkpoint or "checkpoint").name
    return name if name.endswith((".safetensors", ".ckpt")) else f"{name}.safetensors"


def _latents(
    graph: _Graph, names: tuple[str, ...], vae: list[Any], size: tuple[int, int]
) -> list[Any]:
    """Bring references to the size in pixels, stretched as here, then encode them as one batch."""
    encoded = []
    for name in names:
        image = graph.add("LoadImage", image=name)
        fitted = graph.add(
            "ImageScale",
            image=image,
            upscale_method="bicubic",
            width=size[0],
            height=size[1],
            crop="disabled",
        )
        encoded.append(graph.add("VAEEncode", pixels=fitted, vae=vae))
    batch = encoded[0]
    for latent in encoded[1:]:
        batch = graph.add("LatentBatch", samples1=batch, samples2=latent)
    return batch


def _sampler_inputs(recipe: Recipe) -> tuple[dict[str, Any], tuple[str, ...]]:
    params, notes = recipe.params, list(_lost(recipe))
    solver, spacing = recipe.solver, recipe.spacing or Spacing.LINEAR
    name = "euler" if solver is None or solver.comfyui is None else solver.comfyui
    if solver is None or solver.comfyui is None:
        notes.append("its scheduler has no known counterpart there: euler stands in for it")
        solver = None
    if solver is not None and solver.webui_spacing is Spacing.LEADING:
        spacing = Spacing.LEADING
    (start, end), found = comfyui_steps(recipe, solver, spacing)
    values = {
        "seed": recipe.seed or 0,
        "steps": params.denoising_steps,
        "cfg": params.guidance_scale,
        "sampler_name": name,
        "scheduler": next(key for key, value in SCHEDULERS.items() if value is spacing),
        "denoise": 1.0,
        "pos_weight": _capped(params.max_weight, recipe.liked, "liked", notes),
        "neg_weight": _capped(
            params.max_weight * params.neg_scale, recipe.disliked, "disliked", notes
        ),
        "feedback_start": start,
        "feedback_end": end,
    }
    return values, (*notes, *found)


def comfyui_steps(
    recipe: Recipe, solver: Solver | None, spacing: Spacing
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return `feedback_start` and `feedback_end` for a recipe, and what they cannot say."""
    table = comfyui_timetable(solver, spacing, recipe.params.denoising_steps)
    wanted = scaled(recipe.active, recipe.passes, len(table.passes))
    window = comfyui_window(wanted, table.steps, table.passes)
    found = active_in_comfyui(window, table.steps, table.passes)
    notes = []
    if len(table.passes) != recipe.passes:
        notes.append(
            f"ComfyUI runs the U-Net {len(table.passes)} times, fabricbo {recipe.passes} times: "
            "the window was scaled"
        )
    if len(wanted) - len(found) == 1 and table.passes[-1] == 0:
        notes.append("its nodes give the last step, at timestep 0, no feedback")
    elif found != wanted:
        notes.append(
            f"{len(found)} passes of the U-Net are active there, not {len(wanted)}: it knows steps "
            "of the sampler only"
        )
    return window, tuple(notes)


def _capped(weight: float, names: tuple[str, ...], verdict: str, notes: list[str]) -> float:
    """Return a weight that the nodes take; 0 without references, whose place zeros would take."""
    if not names:
        return 0.0
    if weight > MOST_WEIGHT:
        notes.append(f"weights end at 1 there: {weight:g} of {verdict} references became 1")
    return min(weight, MOST_WEIGHT)


def _lost(recipe: Recipe) -> tuple[str, ...]:
    numbers = len(recipe.liked), len(recipe.disliked)
    uneven = 0 < min(numbers) < max(numbers)
    # fabric/fabric.py, modified_attn1: as many tokens are made of both kinds.
    zeros = ("the smaller kind of references is filled up with zeros there, which weaken it",)
    outside = recipe.params.min_weight > 0 and len(recipe.active) < recipe.passes
    lost = ("min_weight has no counterpart there: no feedback outside the window",)
    return (
        *(zeros if uneven else ()),
        *(lost if outside else ()),
        *scale_notes(recipe),
        *common_notes(recipe),
        *prompt_notes(recipe, "ComfyUI"),
        *bundled_notes(recipe),
    )


def comfyui_form(recipe: Recipe) -> Form:
    """Return all that ComfyUI reads."""
    workflow = comfyui_workflow(recipe)
    return Form(
        files={"workflow.json": json.dumps(workflow.value, indent=2)},
        liked_folder="input",
        disliked_folder="input",
        notes=workflow.notes,
        where={
            "workflow.json": "drop it on ComfyUI's page (its FABRIC nodes must be installed)",
            "input": "copy them to ComfyUI's input folder first",
        },
    )
