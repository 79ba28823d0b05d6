"""All that a recipe can become, by name: for the command line and the report."""

from collections.abc import Callable, Mapping

from fabricbo.interop.authors import authors_config, authors_yaml
from fabricbo.interop.code import diffusers_code
from fabricbo.interop.comfyui import comfyui_form
from fabricbo.interop.community import community_arguments, community_json
from fabricbo.interop.recipe import Form, Recipe, checkpoint_of
from fabricbo.interop.study_file import study_form
from fabricbo.interop.timesteps import Spacing
from fabricbo.interop.webui import webui_form


def diffusers_form(recipe: Recipe) -> Form:
    """Return a program for our sampler, and arguments of diffusers' own FABRIC."""
    notes = [*checkpoint_of(recipe).notes]
    notes += [f"pipeline.json: {n}" for n in community_arguments(recipe).notes if n not in notes]
    if recipe.spacing is Spacing.SGM:
        notes.append("diffusers has no option for this schedule: the scheduler's own is taken")
    return Form(
        files={"draw.py": diffusers_code(recipe), "pipeline.json": community_json(recipe)},
        notes=tuple(notes),
        where={
            "draw.py": "run it in this folder: draws with fabricbo's sampler",
            "pipeline.json": 'arguments for custom_pipeline="pipeline_fabric" instead',
        },
    )


def authors_form(recipe: Recipe) -> Form:
    """Return what the authors' `run_single.py` reads."""
    return Form(
        files={"single_round.yaml": authors_yaml(recipe)},
        notes=authors_config(recipe).notes,
        where={"single_round.yaml": "fabric/configs; run python fabric/run_single.py"},
    )


FORMS: Mapping[str, Callable[[Recipe], Form]] = {
    "webui": webui_form,
    "comfyui": comfyui_form,
    "diffusers": diffusers_form,
    "authors": authors_form,
    "fabricbo": study_form,
}
