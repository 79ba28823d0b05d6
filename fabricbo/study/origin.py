"""How an image came to be: all that it takes to draw it again, as texts of its PNG file.

Two texts: ours, exact, as JSON; and WebUI's, for other programs, with the keys of its FABRIC
plug-in (dvruette/sd-webui-fabric).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL.PngImagePlugin import PngInfo
from pydantic import Field, TypeAdapter

from fabricbo.executors.drawing import Plan
from fabricbo.imagefiles import MAX_TEXT
from fabricbo.interop import webui_text
from fabricbo.interop.recipe import Recipe
from fabricbo.interop.solvers import Solver, solver_of, spacing_of
from fabricbo.interop.timesteps import Spacing
from fabricbo.interop.webui import webui_settings
from fabricbo.interop.webui_text import WebuiText, write_webui_text
from fabricbo.protocols import Environment
from fabricbo.records import FabricParams, Trial
from fabricbo.study.settings import StudySettings

KEY = "fabricbo"
"""Of our text in a PNG file."""
Strength = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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
    strengths: Mapping[str, Strength] = field(default_factory=dict)
    """Of references that have another one than 1, by their identity."""
    checkpoint: Mapping[str, Any]
    """As in the study file; of files and folders of a machine the names only."""
    drawn_with: Mapping[str, Any] | None = None
    """Weights, scheduler, device and versions, where they are known."""

    def to_text(self) -> str:
        """Return it as JSON, in ASCII; optional settings that are off are left out."""
        told = {**asdict(self), "params": self.params.to_json()}
        if not self.strengths:
            del told["strengths"]
        return json.dumps(told, allow_nan=False)

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
            strengths=trial.action.strengths,
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
    settings = webui_settings(recipe_of(origin, size)).value
    return WebuiText(origin.prompt, origin.negative_prompt, settings)


def recipe_of(origin: Origin, size: tuple[int, int]) -> Recipe:
    """Return how an image of this width and height was drawn, as other programs can be told."""
    solver, spacing = known_solver(origin.drawn_with or {})
    return Recipe(
        params=origin.params,
        prompt=origin.prompt,
        negative_prompt=origin.negative_prompt,
        seeds=(origin.seed,),
        size=size,
        checkpoint=str(origin.checkpoint.get("name", "")),
        liked=tuple(map(reference_name, origin.liked)),
        disliked=tuple(map(reference_name, origin.disliked)),
        strengths={reference_name(key): value for key, value in origin.strengths.items()},
        solver=solver,
        spacing=spacing,
    )


def reference_name(identity: str) -> str:
    """Return what the file of a reference is called, wherever it is taken."""
    return f"{identity}.png"


def known_solver(drawn_with: Environment) -> tuple[Solver | None, Spacing | None]:
    """Return what drew an image, as other programs know it; None where it is not known."""
    name, options = drawn_with.get("scheduler"), drawn_with.get("scheduler_options")
    options = options if isinstance(options, Mapping) else {}
    return (solver_of(name, options) if isinstance(name, str) else None), spacing_of(options)
