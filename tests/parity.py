"""Compare our sampler with recorded results of the FABRIC authors' implementation.

    python -m tests.parity FOLDER

A folder holds a U-Net in diffusers' format (`unet/`), `golden.safetensors` and `golden.json`.
Each case is run through the code that draws images, printed as `name relative_error`, and
the exit status is 1 when an error is above 1e-4.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import load_file
from torch import Tensor

from fabricbo.records import FabricParams
from fabricbo.sampler import FeedbackInputs, ReferenceLatent, feedback, guided_noise

TOLERANCE = 1e-4


def relative_errors(folder: Path) -> Iterator[tuple[str, float]]:
    """Run every case of a folder; yields its name and its relative error."""
    from diffusers import UNet2DConditionModel

    # Double precision keeps our own rounding out of the comparison: single precision adds about
    # as much error as the recordings, which were made in it, hold already.
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float64)
    cases = json.loads((folder / "golden.json").read_text())
    tensors = {k: v.double() for k, v in load_file(folder / "golden.safetensors").items()}
    for name, settings in cases["step"].items():
        yield f"step.{name}", _step_error(unet, settings, _of(tensors, f"step.{name}."))
    for name, settings in cases["trajectory"].items():
        recorded = _of(tensors, f"trajectory.{name}.")
        yield f"trajectory.{name}", _trajectory_error(unet, settings, recorded)


def _of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _error(ours: Tensor, recorded: Tensor) -> float:
    return float((ours - recorded).norm() / recorded.norm())


def _step_error(unet: Any, settings: Mapping[str, Any], recorded: dict[str, Tensor]) -> float:
    expected = recorded.pop("noise_cond"), recorded.pop("noise_uncond")
    ours = guided_noise(
        unet,
        recorded.pop("latents"),
        torch.tensor(settings["timestep"]),
        liked_weights=tuple(settings["pos_weights"]),
        disliked_weights=tuple(settings["neg_weights"]),
        **recorded,
    )
    return max(_error(mine, theirs) for mine, theirs in zip(ours, expected, strict=True))


def _trajectory_error(unet: Any, settings: Mapping[str, Any], recorded: dict[str, Tensor]) -> float:
    """Run a whole pipeline call inside `feedback`, with the recorded noise."""
    from diffusers import StableDiffusionPipeline

    scheduler = _scheduler(settings)
    pipeline = StableDiffusionPipeline(
        vae=None,
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    params = _params(settings)
    inputs = _inputs(recorded)
    with _recorded_scheduler_noise(scheduler, recorded), feedback(unet, scheduler, params, inputs):
        ours = pipeline(
            prompt_embeds=recorded["cond_embeds"],
            negative_prompt_embeds=recorded["uncond_embeds"],
            latents=recorded["initial_noise"],
            num_inference_steps=params.denoising_steps,
            guidance_scale=params.guidance_scale,
            output_type="latent",
        ).images
    return _error(ours, recorded["final_latents"])


def _scheduler(settings: Mapping[str, Any]) -> Any:
    import diffusers

    return getattr(diffusers, settings["scheduler"]).from_config(settings["scheduler_config"])


def _params(settings: Mapping[str, Any]) -> FabricParams:
    renamed = {"denoising_steps": settings["steps"]}
    ignored = ("scheduler", "scheduler_config", "steps")
    return FabricParams.from_json(
        renamed | {key: value for key, value in settings.items() if key not in ignored}
    )


def _inputs(recorded: Mapping[str, Tensor]) -> FeedbackInputs:
    def references(verdict: str) -> tuple[ReferenceLatent, ...]:
        rows = recorded.get(f"{verdict}_latents", ())
        return tuple(ReferenceLatent(f"{verdict} {i}", row[None]) for i, row in enumerate(rows))

    liked, disliked = references("liked"), references("disliked")
    order = [reference.id for reference in (*liked, *disliked)]
    drawn: list[int] = []  # denoising steps that drew noise, in order

    def noise(reference_id: str, step: int, shape: Any) -> Tensor:
        if step not in drawn:
            drawn.append(step)
        row = recorded["reference_noise"][drawn.index(step), order.index(reference_id)]
        return row.reshape(tuple(shape))

    return FeedbackInputs(recorded["null_embeds"], liked, disliked, noise)


def _recorded_scheduler_noise(scheduler: Any, recorded: Mapping[str, Tensor]) -> Any:
    """Let a scheduler that draws noise find the recorded one."""
    rows = iter(recorded.get("scheduler_noise", ()))
    module = type(scheduler).__module__
    return mock.patch(f"{module}.randn_tensor", lambda *args, **kwargs: next(rows), create=True)


def main() -> int:
    """Run the folder named on the command line; returns the exit status."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    worst = 0.0
    for name, error in relative_errors(Path(sys.argv[1])):
        print(name, f"{error:.2e}")
        worst = max(worst, error if error == error else float("inf"))  # NaN is no success
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
