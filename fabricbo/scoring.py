"""Objectives: declaring one, finding one by name, and asking one for scores.

An objective is a callable `(images, prompt) -> Sequence[float]`. `@objective` declares what
differs from the defaults; `load_objective` finds one by its installed name, or runs the code
that the user names explicitly; `evaluate` checks what comes back.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from fabricbo.protocols import Objective
from fabricbo.scores import Direction, Score

if TYPE_CHECKING:
    from PIL.Image import Image

ENTRY_POINT_GROUP = "fabricbo.objectives"

Per = Literal["image", "batch"]
F = TypeVar("F", bound=Callable[..., Any])


class ObjectiveError(Exception):
    """An objective cannot be found or made, or returned what is no score."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an objective says of itself.

    Raises:
        ValueError: a direction or a `per` that does not exist.
    """

    name: str
    direction: Direction = "maximize"
    per: Per = "image"
    """Whether it returns one number an image, or a single one for the whole batch."""

    def __post_init__(self) -> None:
        if self.direction not in ("maximize", "minimize"):
            raise ValueError(f"direction must be maximize or minimize, got {self.direction!r}")
        if self.per not in ("image", "batch"):
            raise ValueError(f"per must be image or batch, got {self.per!r}")


def objective(
    *, direction: Direction = "maximize", per: Per = "image", name: str | None = None
) -> Callable[[F], F]:
    """Declare a function or class as an objective where the defaults do not fit."""

    def declare(target: F) -> F:
        declared = Declaration(name or target.__name__, direction, per)
        target.__fabricbo_objective__ = declared  # type: ignore[attr-defined]
        return target

    return declare


def declaration(target: Objective) -> Declaration:
    """Return what an objective declares, or the defaults."""
    declared = getattr(target, "__fabricbo_objective__", None)
    if isinstance(declared, Declaration):
        return declared
    return Declaration(getattr(target, "__name__", type(target).__name__))


def evaluate(target: Objective, images: Sequence["Image"], prompt: str) -> Score:
    """Ask an objective for the score of some images.

    Raises:
        ObjectiveError: it raised, or returned another number of values than declared, or values
            that are no finite numbers.
    """
    declared = declaration(target)
    try:
        values = tuple(float(value) for value in target(images, prompt))
    except Exception as error:  # whatever a user's code raises, the trial fails with that reason
        raise ObjectiveError(f"{declared.name} raised {type(error).__name__}: {error}") from error
    expected = len(images) if declared.per == "image" else 1
    if len(values) != expected:
        raise ObjectiveError(
            f"{declared.name} must return {expected} numbers for {len(images)} images "
            f"(one each {declared.per}), got {len(values)}"
        )
    try:
        return Score(values)
    except ValueError as error:
        raise ObjectiveError(f"{declared.name}: {error}") from error


def installed_objectives() -> tuple[str, ...]:
    """Return the names of the installed objectives."""
    return tuple(sorted(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)))


def load_objective(name: str, options: Mapping[str, Any] | None = None) -> Objective:
    """Find an objective and make it ready.

    Args:
        name: an installed name, `module:function` or `file.py:function`. The latter two run
            code: name only what you trust. A class is instantiated.
        options: keyword arguments of a class, or of a function that returns the objective.

    Raises:
        ObjectiveError: not found, not importable, or it does not take the options.
    """
    target = _from_code(name) if ":" in name else _installed(name)
    if not callable(target):
        raise ObjectiveError(f"objective {name} is not callable but {type(target).__name__}")
    if not (options or inspect.isclass(target)):
        return target  # type: ignore[no-any-return]
    try:
        made = target(**(options or {}))
    except Exception as error:  # the user's or a plug-in's code: its reason is what helps
        raise ObjectiveError(f"objective {name}: {error}") from error
    if not callable(made):
        raise ObjectiveError(f"objective {name} made {type(made).__name__}, which is not callable")
    return made  # type: ignore[no-any-return]


def _installed(name: str) -> Any:
    found = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if not found:
        near = get_close_matches(name, installed_objectives(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there: {', '.join(installed_objectives())}"
        raise ObjectiveError(
            f"objective must be module:function, file.py:function or an installed name, "
            f"got {name!r}; {hint}"
        )
    try:
        return next(iter(found)).load()
    except (ImportError, AttributeError) as error:
        raise ObjectiveError(f"objective {name} cannot be imported: {error}") from error


def load_code(name: str) -> Any:
    """Return what `module:name` or `file.py:name` names; this runs that code.

    Raises:
        AttributeError: it has no such name.
        Exception: whatever the code raises when it is imported.
    """
    where, _, attribute = name.rpartition(":")
    module = _file_module(Path(where)) if where.endswith(".py") else _module(where)
    return getattr(module, attribute)


def _from_code(name: str) -> Any:
    where, _, attribute = name.rpartition(":")
    try:
        return load_code(name)
    except AttributeError:
        raise ObjectiveError(f"objective {name}: {where} has no {attribute!r}") from None
    except Exception as error:  # importing runs the user's code, which may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ObjectiveError(f"objective {name} cannot be imported: {reason}") from error


def _module(name: str) -> ModuleType:
    """Import a module; as in `python -m`, the working directory is looked at too."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return importlib.import_module(name)


def _file_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
