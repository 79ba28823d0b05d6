"""Reading what WebUI and its plug-in wrote: image texts, presets, defaults; from anybody."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fabricbo.interop.recipe import Converted, Recipe, file_names, number, prompt_notes, seeds_of
from fabricbo.interop.solvers import SOLVERS, Solver
from fabricbo.interop.timesteps import Spacing
from fabricbo.interop.webui import KEYS, PLUGIN, SCHEDULES, SLIDERS, webui_timesteps
from fabricbo.interop.webui_text import read_webui_text
from fabricbo.interop.windows import active_by_timestep, scaled, step_window
from fabricbo.records import FabricParams


def read_preset(data: Mapping[str, Any]) -> Converted[Recipe]:
    """Read a preset of the plug-in.

    Raises:
        ValueError: it is none.
    """
    if not {"liked_paths", "disliked_paths"} <= set(data):
        raise ValueError("a preset of the plug-in has liked_paths and disliked_paths")
    recipe = Recipe(
        params=PLUGIN,
        liked=file_names(data, "liked_paths"),
        disliked=file_names(data, "disliked_paths"),
    )
    return _in_our_steps(recipe, (0.0, 0.8), ("a preset holds no settings: the plug-in's own",))


def read_ui_defaults(data: Mapping[str, Any]) -> Converted[Recipe]:
    """Read the plug-in's settings in WebUI's `ui-config.json`, those of txt2img.

    Raises:
        ValueError: a setting is no number, or out of its range.
    """
    place = "customscript/fabric.py/txt2img"
    values = {
        name: number(data, f"{place}/{label}/value", getattr(PLUGIN, name))
        for label, name in SLIDERS.items()
    }
    window = values.pop("feedback_start"), values.pop("feedback_end")
    return _in_our_steps(
        Recipe(params=FabricParams.from_json({**PLUGIN.to_json(), **values})), window, ()
    )


def read_text(text: str) -> Converted[Recipe]:
    """Read the text of an image that WebUI drew.

    Raises:
        ValueError: no settings in it, or one that is no number or out of its range.
    """
    said = read_webui_text(text)
    settings = said.settings
    if "Steps" not in settings:
        raise ValueError("the text has no settings of WebUI, such as Steps and CFG scale")
    numbers = {key: _parsed(settings, key) for key in _READ if key in settings}
    values = {name: numbers.get(key, getattr(PLUGIN, name)) for key, name in KEYS.items()}
    window = values.pop("feedback_start"), values.pop("feedback_end")
    values |= {"denoising_steps": numbers["Steps"], "guidance_scale": numbers.get("CFG scale", 7.0)}
    params = FabricParams.from_json({**PLUGIN.to_json(), **values})
    solver, spacing, notes = _solver_of(settings)
    recipe = Recipe(
        params=params,
        prompt=said.prompt,
        negative_prompt=said.negative_prompt,
        seeds=seeds_of(int(numbers.get("Seed", -1)), 1),
        size=_size(settings),
        checkpoint=settings.get("Model", ""),
        liked=_images(settings, "fabric_pos_images"),
        disliked=_images(settings, "fabric_neg_images"),
        solver=solver,
        spacing=spacing,
    )
    notes = (*notes, *_lost(settings), *prompt_notes(recipe, "WebUI"))
    return _in_our_steps(recipe, window, notes)


_READ = ("Steps", "CFG scale", "Seed", *KEYS)


def _parsed(settings: Mapping[str, str], key: str) -> float:
    try:
        value: float = int(settings[key]) if key in ("Steps", "Seed") else float(settings[key])
    except ValueError:
        raise ValueError(f"{key} must be a number, got {settings[key][:40]!r}") from None
    return number({key: value}, key, 0)


def _size(settings: Mapping[str, str]) -> tuple[int, int] | None:
    parts = settings.get("Size", "").split("x")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts):
        return None
    return int(parts[0]), int(parts[1])


def _images(settings: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Read a list of files as the plug-in does, apostrophes counting as quotes."""
    try:
        found = json.loads(settings.get(key, "[]").replace("'", '"'))
    except (ValueError, RecursionError):
        raise ValueError(f"{key} must be a list of files, got {settings[key][:40]!r}") from None
    return file_names({key: found}, key)


def _solver_of(settings: Mapping[str, str]) -> tuple[Solver | None, Spacing, tuple[str, ...]]:
    """Return sampler and spacing; before WebUI 1.9 the sampler's name says both."""
    name, schedule = settings.get("Sampler", ""), settings.get("Schedule type", "")
    for label in ("Karras", "Exponential"):
        if name.endswith(f" {label}"):
            name, schedule = name.removesuffix(f" {label}"), label
    solver = next((one for one in SOLVERS if one.webui == name), None)
    if schedule == "Automatic":
        spacing = Spacing.LINEAR if solver is None else solver.webui_automatic
        return solver, spacing, _unknown_solver(solver, name)
    if not schedule:
        return solver, Spacing.LINEAR, _unknown_solver(solver, name)
    found = {label.casefold(): one for label, one in SCHEDULES.items()}.get(schedule.casefold())
    unknown = () if found else (f"schedule type {schedule[:40]!r} is taken to be linear",)
    return solver, found or Spacing.LINEAR, (*_unknown_solver(solver, name), *unknown)


def _unknown_solver(solver: Solver | None, name: str) -> tuple[str, ...]:
    if solver is not None:
        return ()
    return (f"sampler {name[:40]!r} has no known counterpart: one U-Net pass a step is assumed",)


def _lost(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Name what the plug-in and WebUI did that fabricbo does not do."""
    notes = []
    if settings.get("fabric_tome_enabled") == "True":
        notes.append("token merging has no counterpart here")
    if "Hires upscale" in settings:
        notes.append("hires. fix has no counterpart here: this is about the first pass")
    elif "Denoising strength" in settings:
        notes.append("img2img: steps are counted as if all were drawn")
    if "Clip skip" in settings:
        notes.append("clip skip has no counterpart here")
    if not any(key.startswith("fabric_") for key in settings):
        notes.append("it was drawn without FABRIC")
    return tuple(notes)


def _in_our_steps(
    recipe: Recipe, window: tuple[float, float], notes: tuple[str, ...]
) -> Converted[Recipe]:
    """Give a recipe the window, counted in passes, that the plug-in's window means.

    Raises:
        ValueError: start or end is not in [0, 1].
    """
    for name, value in zip(("start", "end"), window, strict=True):
        if not 0 <= value <= 1:
            raise ValueError(f"the feedback {name} must be in [0, 1], got {value:g}")
    steps = recipe.params.denoising_steps
    timesteps = webui_timesteps(recipe.solver, recipe.spacing, steps).tolist()
    active = scaled(active_by_timestep(window, timesteps), len(timesteps), recipe.passes)
    start, end = step_window(active, recipe.passes)
    params = replace(recipe.params, feedback_start=start, feedback_end=end)
    return Converted(replace(recipe, params=params), notes)
