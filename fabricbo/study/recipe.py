"""How a trial is drawn, as other programs can be told."""

from fabricbo.interop.recipe import Converted, Recipe
from fabricbo.records import Trial
from fabricbo.study.origin import known_solver, reference_name
from fabricbo.study.settings import CheckpointSettings
from fabricbo.study.study import Study


def recipe_of_trial(study: Study, trial: Trial) -> Converted[Recipe]:
    """Return a trial's recipe; of several prompts the first, and all its seeds."""
    checkpoint, action = study.settings.checkpoint, trial.action
    solver, spacing = known_solver(study.drawn_with(trial) or {})
    recipe = Recipe(
        params=action.params,
        prompt=study.settings.prompts[0],
        negative_prompt=study.settings.negative_prompt,
        seeds=trial.seeds,
        size=_size(study, trial),
        checkpoint=checkpoint.name,
        liked=tuple(reference_name(reference.id) for reference in action.liked),
        disliked=tuple(reference_name(reference.id) for reference in action.disliked),
        strengths={reference_name(key): value for key, value in action.strengths.items()},
        solver=solver,
        spacing=spacing,
    )
    notes = []
    if len(study.settings.prompts) > 1:
        notes.append(f"the first of {len(study.settings.prompts)} prompts was taken")
    if checkpoint.lora is not None:
        notes.append(f"the LoRA {checkpoint.lora.name} is to be added by hand")
    if (checkpoint.reference_noise, checkpoint.reference_fit) != ("fixed", "stretch"):
        notes.append(
            f"references had {checkpoint.reference_noise} noise and were fitted by "
            f"{checkpoint.reference_fit}: set that by hand, where it can be set"
        )
    if checkpoint.feedback_levels is not None:
        notes.append(f"feedback acted at U-Net levels {list(checkpoint.feedback_levels)} only")
    if checkpoint.distilled_guidance != CheckpointSettings().distilled_guidance:
        told, usual = checkpoint.distilled_guidance, CheckpointSettings().distilled_guidance
        notes.append(f"FLUX was told a guidance of {told:g}: draw.py tells it {usual:g}")
    if checkpoint.merge_tokens > 0:
        notes.append(
            f"{checkpoint.merge_tokens:g} of the tokens of each reference were merged away"
        )
    if checkpoint.reference_stride > 1:
        notes.append(
            f"references went through the U-Net once in {checkpoint.reference_stride} steps"
        )
    return Converted(recipe, tuple(notes))


def _size(study: Study, trial: Trial) -> tuple[int, int] | None:
    """Return width and height: as set, or those of an image that was drawn."""
    checkpoint = study.settings.checkpoint
    if checkpoint.width is not None and checkpoint.height is not None:
        return checkpoint.width, checkpoint.height
    return study.images.load(trial.images[0]).size if trial.images else None
