"""The WebUI plug-in (dvruette/sd-webui-fabric at 5a247c9): its image texts, presets and defaults.

Image texts hold all settings and the names of the references (`scripts/fabric.py`, `process`);
presets hold references only (`_save_preset`); WebUI's `ui-config.json` holds what sliders show at
the start (`modules/ui_loadsave.py`).
"""

import json
from pathlib import Path

from fabricbo.interop.recipe import (
    Converted,
    Form,
    Recipe,
    bundled_notes,
    common_notes,
    prompt_notes,
    scale_notes,
)
from fabricbo.interop.solvers import Solver, solver_named
from fabricbo.interop.timesteps import Spacing, Timesteps, pass_timesteps, step_timesteps
from fabricbo.interop.webui_text import WebuiText, write_webui_text
from fabricbo.interop.windows import active_by_timestep, scaled, timestep_window
from fabricbo.records import FabricParams

PLUGIN = FabricParams(min_weight=0.0, max_weight=0.8, neg_scale=0.5, feedback_end=0.8)
"""The plug-in's own defaults (`scripts/fabric.py`, `ui`)."""
SCHEDULES = {
    "Uniform": Spacing.LINEAR,
    "Normal": Spacing.LINEAR,
    "Karras": Spacing.KARRAS,
    "Exponential": Spacing.EXPONENTIAL,
    "SGM Uniform": Spacing.SGM,
    "Simple": Spacing.SIMPLE,
}
"""Schedule types of WebUI 1.9 and later (`modules/sd_schedulers.py`)."""
SLIDERS = {
    "Feedback start": "feedback_start",
    "Feedback end": "feedback_end",
    "Feedback Strength": "max_weight",
    "Min. strength": "min_weight",
    "Negative weight": "neg_scale",
}
KEYS = {
    "fabric_start": "feedback_start",
    "fabric_end": "feedback_end",
    "fabric_min_weight": "min_weight",
    "fabric_max_weight": "max_weight",
    "fabric_neg_scale": "neg_scale",
}
_SLIDER_END = 1.0


def webui_timesteps(solver: Solver | None, spacing: Spacing | None, steps: int) -> Timesteps:
    """Return the timestep of each U-Net pass of WebUI, falling; linear unless told otherwise.

    DDIM and PLMS leave the last of their timesteps out (`modules/sd_samplers_timesteps_impl.py`).
    """
    spacing = spacing or Spacing.LINEAR
    if solver is None:
        return step_timesteps(spacing, steps)
    chosen = solver.webui_spacing or spacing
    each = step_timesteps(chosen, steps + solver.discards)[: steps if solver.discards else None]
    if chosen is Spacing.LEADING:
        each = each[:-1]
    return pass_timesteps(each, solver.passes)


def webui_values(recipe: Recipe) -> Converted[dict[str, float]]:
    """Return the plug-in's settings by our names: its window by timestep, reversed if empty."""
    params, notes = recipe.params, [*scale_notes(recipe), *common_notes(recipe)]
    timesteps = webui_timesteps(recipe.solver, recipe.spacing, params.denoising_steps).tolist()
    wanted = scaled(recipe.active, recipe.passes, len(timesteps))
    if len(timesteps) != recipe.passes:
        notes.append(
            f"WebUI runs the U-Net {len(timesteps)} times, fabricbo {recipe.passes} times: the "
            "window was scaled"
        )
    if recipe.solver is None:
        notes.append("the scheduler is not known: the window fits linear timesteps")
    start, end = timestep_window(wanted, timesteps)
    if (found := active_by_timestep((start, end), timesteps)) != wanted:
        notes.append(_other_steps(wanted, found))
    values = {name: getattr(params, name) for name in KEYS.values()}
    values |= {"feedback_start": start, "feedback_end": end}
    return Converted(values, (*notes, *_plugin_notes(recipe)))


def _plugin_notes(recipe: Recipe) -> list[str]:
    params, notes = recipe.params, []
    names = ("max_weight", "min_weight", "neg_scale")
    beyond = [name for name in names if getattr(params, name) > _SLIDER_END]
    if beyond:
        notes.append(
            f"the plug-in's sliders end at 1, below {', '.join(beyond)}: raise their `maximum` in "
            "ui-config.json"
        )
    # scripts/fabric.py, use_feedback
    if params.max_weight <= 0 < params.min_weight:
        notes.append("the plug-in is off where its strength is 0, whatever min. strength says")
    return notes


def _other_steps(wanted: range, found: range) -> str:
    return (
        f"passes {_span(found)} of the U-Net are active there, not {_span(wanted)}: some timesteps "
        "are equal"
    )


def _span(active: range) -> str:
    return f"{active[0]} to {active[-1]}" if active else "none"


def webui_settings(recipe: Recipe) -> Converted[dict[str, str]]:
    """Return what WebUI and its plug-in write about an image, by their names and in their order."""
    params = recipe.params
    size = {} if recipe.size is None else {"Size": f"{recipe.size[0]}x{recipe.size[1]}"}
    seed = {} if recipe.seed is None else {"Seed": str(recipe.seed)}
    model = {"Model": _model(recipe.checkpoint)} if recipe.checkpoint else {}
    fabric, notes = _fabric(recipe)
    settings = {
        "Steps": str(params.denoising_steps),
        **_sampler(recipe),
        "CFG scale": _number(params.guidance_scale),
        **seed,
        **size,
        **model,
        **fabric,
    }
    return Converted(settings, notes)


def _model(checkpoint: str) -> str:
    name = Path(checkpoint).name
    return name.removesuffix(".safetensors").removesuffix(".ckpt")


def _sampler(recipe: Recipe) -> dict[str, str]:
    if recipe.solver is None:
        return {}
    solver = recipe.solver
    if solver.webui_spacing is not None:
        return {"Sampler": solver.webui}
    spacing = recipe.spacing or Spacing.LINEAR
    label = next((label for label, one in SCHEDULES.items() if one is spacing), "Uniform")
    return {"Sampler": solver.webui, "Schedule type": label}


def _fabric(recipe: Recipe) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what the plug-in writes; nothing where there is no feedback, as there."""
    if not (recipe.liked or recipe.disliked):
        return {}, common_notes(recipe)
    converted = webui_values(recipe)
    values = {key: _number(converted.value[name]) for key, name in KEYS.items()}
    return {
        **values,
        "fabric_pos_images": json.dumps(recipe.liked),
        "fabric_neg_images": json.dumps(recipe.disliked),
        "fabric_feedback_during_high_res_fix": "False",
        "fabric_tome_enabled": "False",
    }, converted.notes


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def webui_text(recipe: Recipe) -> Converted[str]:
    """Return a recipe as WebUI's text: to be pasted into its prompt field and read with its arrow.

    Pixels come out otherwise there: noise of images and references is drawn in other ways.
    """
    settings = webui_settings(recipe)
    said = WebuiText(recipe.prompt, recipe.negative_prompt, settings.value)
    others = (*prompt_notes(recipe, "WebUI"), *bundled_notes(recipe))
    return Converted(write_webui_text(said), (*settings.notes, *others))


def preset(recipe: Recipe) -> str:
    """Return a preset of the plug-in, which holds references only, as JSON."""
    lists = {"liked_paths": list(recipe.liked), "disliked_paths": list(recipe.disliked)}
    return json.dumps(lists, indent=4)


def ui_defaults(recipe: Recipe) -> dict[str, float | bool]:
    """Return what to put into WebUI's `ui-config.json` to begin with a recipe's settings."""
    values = webui_values(recipe).value
    found: dict[str, float | bool] = {}
    for tab in ("txt2img", "img2img"):
        place = f"customscript/fabric.py/{tab}"
        found[f"{place}/Enable/value"] = True
        for label, name in SLIDERS.items():
            value = values[name]
            found[f"{place}/{label}/value"] = value
            if value > _SLIDER_END:
                found[f"{place}/{label}/maximum"] = value
    return found


def webui_form(recipe: Recipe) -> Form:
    """Return all that WebUI and its plug-in read."""
    said = webui_text(recipe)
    return Form(
        files={
            "parameters.txt": said.value,
            "preset.json": preset(recipe),
            "ui-config.json": json.dumps(ui_defaults(recipe), indent=4),
        },
        liked_folder="images",
        disliked_folder="images",
        notes=said.notes,
        where={
            "parameters.txt": "paste it into WebUI's prompt field and press the arrow below it",
            "images": "copy them to log/fabric/images in the plug-in's folder first",
            "preset.json": "references alone: log/fabric/presets in the plug-in's folder",
            "ui-config.json": "the sliders at the start: merge it into WebUI's own",
        },
    )


def solver_by_webui(name: str, schedule: str | None) -> tuple[Solver, Spacing]:
    """Return sampler and spacing that somebody names.

    Raises:
        ValueError: an unknown name.
    """
    spacings = {label.casefold(): spacing for label, spacing in SCHEDULES.items()}
    chosen = (schedule or "Uniform").casefold()
    if chosen not in spacings:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    return solver_named(name), spacings[chosen]
