"""A recipe as a program for our sampler, which draws with any checkpoint that studies can."""

from fabricbo.interop.recipe import Recipe, checkpoint_of
from fabricbo.interop.timesteps import Spacing
from fabricbo.records import FabricParams

_SPACINGS = {
    Spacing.LINEAR: 'timestep_spacing="linspace"',
    Spacing.SIMPLE: 'timestep_spacing="trailing"',
    Spacing.LEADING: 'timestep_spacing="leading", steps_offset=1',
    Spacing.KARRAS: "use_karras_sigmas=True",
    Spacing.EXPONENTIAL: "use_exponential_sigmas=True",
}
"""Options of diffusers' schedulers."""

_PROGRAM = '''\
"""Draws with feedback from references, with fabricbo's sampler."""

from pathlib import Path

from fabricbo import Action, Checkpoint, FabricParams, FabricSampler, Reference
from fabricbo import SamplerOptions, load_pipeline
from fabricbo.imagefiles import open_image, pixel_hash{classes}

PROMPT = {prompt}
NEGATIVE_PROMPT = {negative_prompt}
SEEDS = {seeds}
SIZE = {size}
CHECKPOINT = {checkpoint}
REFERENCES = Path("references")
LIKED = {liked}
DISLIKED = {disliked}
{strengths}PARAMS = FabricParams(
{params}
)


def reference(name):
    image = open_image(REFERENCES / name)
    return Reference(pixel_hash(image), name, image)


pipeline = load_pipeline(Checkpoint(CHECKPOINT))
{scheduler}width, height = SIZE or (None, None)
sampler = FabricSampler(pipeline, SamplerOptions(NEGATIVE_PROMPT, width, height))
liked, disliked = tuple(map(reference, LIKED)), tuple(map(reference, DISLIKED))
{named}action = Action(PARAMS, liked, disliked{given})
for seed, image in zip(SEEDS, sampler(action, PROMPT, SEEDS)):
    image.save(f"{{seed}}.png")
'''
_NAMED = """\
strengths = {r.id: STRENGTHS[r.name] for r in (*liked, *disliked) if r.name in STRENGTHS}
"""


def diffusers_code(recipe: Recipe) -> str:
    """Return a program that draws a recipe.

    References are read from the folder `references`, images are written beside it.
    """
    scheduler = "" if recipe.solver is None else recipe.solver.diffusers
    # fabricbo comes before diffusers: it sees to a torchvision that does not fit torch.
    return _PROGRAM.format(
        classes=f"\n\nfrom diffusers import {scheduler}" if scheduler else "",
        prompt=ascii(recipe.prompt),
        negative_prompt=ascii(recipe.negative_prompt),
        seeds=list(recipe.seeds or (0,)),
        size=recipe.size,
        checkpoint=ascii(checkpoint_of(recipe).value),
        liked=ascii(list(recipe.liked)),
        disliked=ascii(list(recipe.disliked)),
        strengths=f"STRENGTHS = {dict(recipe.strengths)!a}\n" if recipe.strengths else "",
        named=_NAMED if recipe.strengths else "",
        given=", strengths" if recipe.strengths else "",
        params=_params(recipe.params),
        scheduler=_scheduler(recipe, scheduler),
    )


def _params(params: FabricParams) -> str:
    values = params.to_json()
    return "\n".join(f"    {name}={value!r}," for name, value in values.items())


def _scheduler(recipe: Recipe, name: str) -> str:
    if recipe.solver is None:
        return ""
    options = [f"{key}={value!r}" for key, value in recipe.solver.options.items()]
    if recipe.spacing in _SPACINGS:
        options.append(_SPACINGS[recipe.spacing])
    given = ", ".join(["pipeline.scheduler.config", *options])
    return f"pipeline.scheduler = {name}.from_config({given})\n"
