"""How an image came to be: all that it takes to draw it again, as texts of its PNG file.

Two texts: ours, exact, as JSON; and WebUI's, for other programs, with the keys of its FABRIC
plug-in (dvruette/sd-webui-fabric).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from PIL.PngImagePlugin import PngInfo
from pydantic import TypeAdapter

from fabricbo.executors.drawing import Plan
from fabricbo.imagefiles import MAX_TEXT
from fabricbo.protocols import Environment
from fabricbo.records import FabricParams, Trial
from fabricbo.study import webui_text
from fabricbo.study.settings import StudySettings
from fabricbo.study.webui_text import WebuiText, write_webui_text

KEY = "fabricbo"
"""Of our text in a PNG file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How one image was drawn."""

    format: Literal[1] = 1
    image: str = ""
    """Its identity, by which a file tells whether it was changed since."""
    study: str
    trial: int
    round: int
    attempt: int
    held_out: bool = False
    """Whether it was drawn at the end, to compare with seeds that the search never saw."""
    prompt: str
    negative_prompt: str
    seed: int
    together: tuple[int, ...]
    """Seeds of the images that were drawn in one batch with it, its own included."""
    params: FabricParams
    liked: tuple[str, ...]
    """Identities of the references, in the order of the action."""
    disliked: tuple[str, ...]
    checkpoint: Mapping[str, Any]
    """As in the study file; of files and folders of a machine the names only."""
    drawn_with: Mapping[str, Any] | None = None
    """Weights, scheduler, device and versions, where they are known."""

    def to_text(self) -> str:
        """Return it as JSON, in ASCII."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_text(cls, text: str) -> "Origin":
        """Read what `to_text` wrote; a text from outside may be anything.

        Raises:
            ValueError: it is nothing of the kind.
        """
        if len(text) > MAX_TEXT:
            raise ValueError(f"the text {KEY!r} has {len(text)} characters, too many")
        try:
            found = _adapter().validate_json(text, strict=True)
            found.to_text()  # what JSON does not know, such as NaN, can be anywhere in it
        except (TypeError, ValueError) as error:
            raise ValueError(f"the text {KEY!r} cannot be read: {error}") from error
        return found


@cache
def _adapter() -> TypeAdapter[Origin]:
    return TypeAdapter(Origin)


def origins(
    settings: StudySettings,
    trial: Trial,
    plan: Plan,
    *,
    drawn_with: Environment | None,
    held_out: bool = False,
) -> list[Origin]:
    """Return how each image of a plan is drawn, in their order."""
    return [
        Origin(
            study=settings.name,
            trial=trial.index,
            round=trial.round,
            attempt=trial.attempt,
            held_out=held_out,
            prompt=prompt,
            negative_prompt=settings.negative_prompt,
            seed=seed,
            together=seeds,
            params=trial.action.params,
            liked=tuple(reference.id for reference in trial.action.liked),
            disliked=tuple(reference.id for reference in trial.action.disliked),
            checkpoint=_checkpoint(settings),
            drawn_with=drawn_with,
        )
        for prompt, seeds in plan.parts
        for seed in seeds
    ]


def _checkpoint(settings: StudySettings) -> dict[str, Any]:
    """Return the checkpoint's settings, without the paths of this machine."""
    chosen = settings.checkpoint.model_dump(mode="json")
    return {
        key: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for key, value in chosen.items()
        if value is not None
    }


def png_info(origin: Origin, size: tuple[int, int]) -> PngInfo:
    """Return both texts, to be written into a PNG file of this width and height."""
    info = PngInfo()
    for key, text in png_texts_of(origin, size).items():
        info.add_text(key, text)
    return info


def png_texts_of(origin: Origin, size: tuple[int, int]) -> dict[str, str]:
    """Return both texts by their keys."""
    return {
        webui_text.KEY: write_webui_text(as_webui(origin, size)),
        KEY: origin.to_text(),
    }


def as_webui(origin: Origin, size: tuple[int, int]) -> WebuiText:
    """Return what WebUI would say of an image of this width and height."""
    params, drawn_with = origin.params, origin.drawn_with or {}
    settings = {
        "Steps": str(params.denoising_steps),
        **_sampler(drawn_with),
        "CFG scale": _number(params.guidance_scale),
        "Seed": str(origin.seed),
        "Size": f"{size[0]}x{size[1]}",
        "Model": Path(str(origin.checkpoint.get("name", ""))).stem,
        **_fabric(origin),
    }
    return WebuiText(origin.prompt, origin.negative_prompt, settings)


def _fabric(origin: Origin) -> dict[str, str]:
    """Return what the plug-in writes; nothing where there is no feedback, as there."""
    if not (origin.liked or origin.disliked):
        return {}
    params = origin.params
    return {
        "fabric_start": _number(params.feedback_start),
        "fabric_end": _number(params.feedback_end),
        "fabric_min_weight": _number(params.min_weight),
        "fabric_max_weight": _number(params.max_weight),
        "fabric_neg_scale": _number(params.neg_scale),
        "fabric_pos_images": _files(origin.liked),
        "fabric_neg_images": _files(origin.disliked),
        "fabric_feedback_during_high_res_fix": "False",
    }


def _files(identities: tuple[str, ...]) -> str:
    return json.dumps([f"{identity}.png" for identity in identities])


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


_SAMPLERS = {
    "DDIMScheduler": "DDIM",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "DPMSolverSDEScheduler": "DPM++ SDE",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "EulerDiscreteScheduler": "Euler",
    "HeunDiscreteScheduler": "Heun",
    "KDPM2AncestralDiscreteScheduler": "DPM2 a",
    "KDPM2DiscreteScheduler": "DPM2",
    "LCMScheduler": "LCM",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}
"""diffusers' names and WebUI's: a matter of this format; nothing else here knows a scheduler."""


def _sampler(drawn_with: Environment) -> dict[str, str]:
    name, options = drawn_with.get("scheduler"), drawn_with.get("scheduler_options")
    if not isinstance(name, str):
        return {}
    karras = isinstance(options, Mapping) and options.get("use_karras_sigmas") is True
    schedule = {"Schedule type": "Karras"} if karras else {}
    return {"Sampler": _SAMPLERS.get(name, name), **schedule}
