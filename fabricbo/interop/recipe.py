"""What all programs are told: settings, references, prompt, seed, checkpoint and scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fabricbo.interop.solvers import Solver
from fabricbo.interop.timesteps import Passes, Spacing, number_of_passes
from fabricbo.records import OPTIONAL, FabricParams
from fabricbo.scores import is_finite

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How images are drawn, as far as other programs can be told."""

    params: FabricParams
    prompt: str = ""
    negative_prompt: str = ""
    seeds: tuple[int, ...] = ()
    """One an image; none: any one. Other programs take the first and count up, or go on drawing."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None: the checkpoint's own."""
    checkpoint: str = ""
    """Hub id, file or folder; empty: any."""
    liked: tuple[str, ...] = ()
    """Files of the references, by their names."""
    disliked: tuple[str, ...] = ()
    strengths: Mapping[str, float] = field(default_factory=dict)
    """Of references that have another one than 1, by their names."""
    solver: Solver | None = None
    """None: not known, or none that others have."""
    spacing: Spacing | None = None
    """None: the scheduler's own, which is taken for linear."""

    @property
    def seed(self) -> int | None:
        """That of the first image."""
        return self.seeds[0] if self.seeds else None

    @property
    def images(self) -> int:
        """How many are drawn."""
        return max(len(self.seeds), 1)

    @property
    def passes(self) -> int:
        """How often the U-Net is run, which the window is counted in."""
        passes = Passes.ONE if self.solver is None else self.solver.passes
        return number_of_passes(self.params.denoising_steps, passes)

    @property
    def active(self) -> range:
        """U-Net passes inside the window."""
        return self.params.window(self.passes)


@dataclass(frozen=True, slots=True)
class Converted(Generic[T]):
    """Something converted, and what was lost."""

    value: T
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What another program reads."""

    files: Mapping[str, str]
    """Texts by the names of their files; the first is what matters most."""
    liked_folder: str = "references"
    """Where its files expect liked references, relative to them."""
    disliked_folder: str = "references"
    notes: tuple[str, ...] = ()
    """What was lost, or is to be done by hand."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Where files and folders go, where that is not plain."""


def prompt_notes(recipe: Recipe, program: str) -> tuple[str, ...]:
    """Say what becomes of a prompt in a program that reads brackets as emphasis."""
    read = any(sign in recipe.prompt + recipe.negative_prompt for sign in "()[]{}")
    return (f"{program} reads brackets in prompts as emphasis; fabricbo as text",) if read else ()


def scale_notes(recipe: Recipe) -> tuple[str, ...]:
    """Name the settings that only fabricbo and the authors' generator have."""
    params = recipe.params
    scales = (params.pos_bottleneck_scale, params.neg_bottleneck_scale)
    return () if scales == (1, 1) else ("the bottleneck scales have no counterpart there",)


def checkpoint_of(recipe: Recipe) -> Converted[str]:
    """Return a checkpoint by a name that can be loaded: others may give the file's name alone."""
    name = recipe.checkpoint
    if not name:
        return Converted(_USUAL, (f"the checkpoint is not known: {_USUAL} stands in for it",))
    if name == "demo" or "/" in name or "\\" in name or name.endswith(".safetensors"):
        return Converted(name)
    file = f"{name.removesuffix('.ckpt')}.safetensors"
    return Converted(file, (f"say where the checkpoint {file} lies: only its name is known",))


def common_notes(recipe: Recipe) -> tuple[str, ...]:
    """Name what no other program does."""
    params, notes = recipe.params, []
    if params.prompt_dropout:
        notes.append("prompt_dropout has no counterpart there: the whole prompt counts")
    if params.guidance_scale < 1:
        notes.append(
            f"guidance_scale {params.guidance_scale:g}: fabricbo leaves the unconditional pass "
            "out, other programs mix both"
        )
    on = [name for name, off in OPTIONAL.items() if getattr(params, name) != off]
    notes += [f"{name} has no counterpart there: it is off" for name in on]
    if recipe.strengths:
        notes.append("strengths of references have no counterpart there: all count alike")
    return tuple(notes)


def bundled_notes(recipe: Recipe) -> tuple[str, ...]:
    """Say that programs without fabricbo lack its own checkpoint."""
    own = "the bundled checkpoint is fabricbo's own: draw with another one there"
    return (own,) if recipe.checkpoint == "demo" else ()


def number(data: Mapping[str, Any], name: str, default: float) -> float:
    """Return a finite number of data from outside.

    Raises:
        ValueError: it is something else.
    """
    found = data.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(f"{name} must be a number, got {_brief(found)}")
    if not is_finite(found) or abs(found) > _LARGEST:
        raise ValueError(f"{name} must be a finite number, got {_brief(found)}")
    return found


def whole(data: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number of data from outside.

    Raises:
        ValueError: it is something else.
    """
    found = number(data, name, default)
    if found != int(found):
        raise ValueError(f"{name} must be a whole number, got {found}")
    return int(found)


def seeds_of(seed: int, images: int) -> tuple[int, ...]:
    """Return seeds counted up from one, as WebUI does; below 0 means any.

    Raises:
        ValueError: not a number of images that can be drawn.
    """
    if not 1 <= images <= _MOST_IMAGES:
        raise ValueError(f"the number of images must be in [1, {_MOST_IMAGES}], got {images}")
    first = max(seed, 0)
    return tuple(range(first, first + images)) if seed >= 0 or images > 1 else ()


def text(data: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a text of data from outside; None counts as not given.

    Raises:
        ValueError: it is something else.
    """
    found = data.get(name)
    if found is None:
        return default
    if not isinstance(found, str):
        raise ValueError(f"{name} must be a text, got {_brief(found)}")
    return _whole_signs(found)


def file_names(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of file names of data from outside.

    Raises:
        ValueError: it is something else.
    """
    found = data.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"{name} must be a list of file names, got {_brief(found)}")
    return tuple(map(_whole_signs, found))


def _whole_signs(found: str) -> str:
    """Replace halves of signs, which JSON can hold and no file can."""
    return found.encode("utf-8", "replace").decode("utf-8")


_LARGEST = 2**64
"""Beyond any seed."""
_MOST_IMAGES = 1000
_USUAL = "stable-diffusion-v1-5/stable-diffusion-v1-5"


def _brief(value: object) -> str:
    try:
        return repr(value)[:60]
    except ValueError:  # a number of too many digits
        return "a number of too many digits"
