"""A recipe as a program: plain diffusers, and our `feedback` around its pipeline."""

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

# fabricbo comes before diffusers: it sees to a torchvision that does not fit torch.
_PROGRAM = '''\
"""Draws with feedback from references: plain diffusers and fabricbo's `feedback`."""

from pathlib import Path

import torch
from fabricbo import FabricParams
{demo}from fabricbo.imagefiles import open_image, pixel_hash
from fabricbo.sampler import FeedbackInputs, ReferenceLatent, feedback
from fabricbo.sampler.references import encode, resize

from diffusers import {classes}

PROMPT = {prompt}
NEGATIVE_PROMPT = {negative_prompt}
SEEDS = {seeds}
SIZE = {size}
REFERENCES = Path("references")
LIKED = {liked}
DISLIKED = {disliked}
{strengths}PARAMS = FabricParams(
{params}
)

device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = torch.float16 if device == "cuda" else torch.float32
pipeline = StableDiffusionPipeline.{load}
{scheduler}pipeline.to(device)
width, height = SIZE or 2 * (pipeline.unet.config.sample_size * pipeline.vae_scale_factor,)


def latents(name):
    image = open_image(REFERENCES / name)
    fitted = resize(image, width, height, "stretch")
    return ReferenceLatent(pixel_hash(image), encode(pipeline.vae, fitted){strength})


null_embeds, _ = pipeline.encode_prompt("", device, 1, False)
inputs = FeedbackInputs(null_embeds, tuple(map(latents, LIKED)), tuple(map(latents, DISLIKED)))
with feedback(pipeline.unet, pipeline.scheduler, PARAMS, inputs):
    images = pipeline(
        [PROMPT] * len(SEEDS),
        negative_prompt=[NEGATIVE_PROMPT] * len(SEEDS),
        width=width,
        height=height,
        guidance_scale=PARAMS.guidance_scale,
        num_inference_steps=PARAMS.denoising_steps,{rescale}
        generator=[torch.Generator().manual_seed(seed) for seed in SEEDS],
    ).images
for seed, image in zip(SEEDS, images):
    image.save(f"{{seed}}.png")
'''


_RESCALE = "\n        guidance_rescale=PARAMS.rescale,"
_STRENGTH = ", STRENGTHS.get(name, 1.0)"
_DEMO = "from fabricbo.demo import checkpoint_folder\n"


def diffusers_code(recipe: Recipe) -> str:
    """Return a program that draws a recipe; prompt dropout is left out.

    References are read from the folder `references`, images are written beside it.
    """
    scheduler = "" if recipe.solver is None else recipe.solver.diffusers
    return _PROGRAM.format(
        classes=", ".join(sorted({"StableDiffusionPipeline", scheduler} - {""})),
        demo=_DEMO if recipe.checkpoint == "demo" else "",
        prompt=ascii(recipe.prompt),
        negative_prompt=ascii(recipe.negative_prompt),
        seeds=list(recipe.seeds or (0,)),
        size=recipe.size,
        liked=ascii(list(recipe.liked)),
        disliked=ascii(list(recipe.disliked)),
        strengths=f"STRENGTHS = {dict(recipe.strengths)!a}\n" if recipe.strengths else "",
        strength=_STRENGTH if recipe.strengths else "",
        params=_params(recipe.params),
        rescale=_RESCALE if recipe.params.rescale else "",
        load=_load(recipe),
        scheduler=_scheduler(recipe, scheduler),
    )


def _params(params: FabricParams) -> str:
    values = params.to_json()
    del values["prompt_dropout"]
    return "\n".join(f"    {name}={value!r}," for name, value in values.items())


def _load(recipe: Recipe) -> str:
    name = checkpoint_of(recipe).value
    source = "checkpoint_folder()" if name == "demo" else ascii(name)
    options = ["dtype=dtype", "safety_checker=None", "requires_safety_checker=False"]
    how = "from_single_file"
    if not name.endswith(".safetensors"):
        how, options = "from_pretrained", ["use_safetensors=True", *options]
    given = "".join(f"    {one},\n" for one in (source, *options))
    return f"{how}(\n{given})"


def _scheduler(recipe: Recipe, name: str) -> str:
    if recipe.solver is None:
        return ""
    options = [f"{key}={value!r}" for key, value in recipe.solver.options.items()]
    if recipe.spacing in _SPACINGS:
        options.append(_SPACINGS[recipe.spacing])
    given = ", ".join(["pipeline.scheduler.config", *options])
    return f"pipeline.scheduler = {name}.from_config({given})\n"
