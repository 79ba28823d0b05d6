"""Finding an objective by its name, and making it ready."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from fabricbo.protocols import Objective
from fabricbo.scoring.declaration import declaration
from fabricbo.scoring.errors import ObjectiveError

ENTRY_POINT_GROUP = "fabricbo.objectives"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where objectives that hold a network put it.

    Its fields are handed to the constructors that have parameters of these names.
    """

    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""
    offload: bool = False
    """Whether networks leave the device after each use, to make room for the sampler."""


def installed_objectives() -> tuple[str, ...]:
    """Return the names of the installed objectives."""
    return tuple(sorted(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)))


def load_objective(
    name: str,
    options: Mapping[str, Any] | None = None,
    placement: Placement | None = None,
) -> Objective:
    """Find an objective and make it; what it needs to load, it loads in `prepare`.

    Args:
        name: an installed name, `module:function` or `file.py:function`. The latter two run
            code: name only what you trust. A class is instantiated.
        options: keyword arguments of a class, or of a function that returns the objective.
        placement: where networks go, for classes that ask and where the options do not say.

    Raises:
        ObjectiveError: not found, not importable, or it does not take the options.
    """
    target = _from_code(name) if ":" in name else load_installed(name)
    if not callable(target):
        raise ObjectiveError(f"objective {name} is not callable but {type(target).__name__}")
    if not (options or inspect.isclass(target)):
        return target  # type: ignore[no-any-return]
    try:
        made = target(**{**_placed(target, placement or Placement()), **(options or {})})
    except Exception as error:  # the user's or a plug-in's code: its reason is what helps
        raise ObjectiveError(f"objective {name}: {error}") from error
    if not callable(made):
        raise ObjectiveError(f"objective {name} made {type(made).__name__}, which is not callable")
    return made  # type: ignore[no-any-return]


def prepare(target: Objective) -> None:
    """Have an objective load what it needs, so that what is missing is told before any drawing.

    Raises:
        ObjectiveError: it cannot.
    """
    load = getattr(target, "load", None)
    if load is None:
        return
    try:
        load()
    except ObjectiveError:
        raise
    except Exception as error:  # the user's or a plug-in's code: its reason is what helps
        name = declaration(target).name
        raise ObjectiveError(f"{name} cannot be loaded: {type(error).__name__}: {error}") from error


def _placed(target: Any, placement: Placement) -> Mapping[str, Any]:
    """Return what of the placement a class asks for."""
    if not inspect.isclass(target):
        return {}
    parameters = inspect.signature(target).parameters
    return {key: getattr(placement, key) for key in ("device", "offload") if key in parameters}


def load_installed(name: str) -> Any:
    """Return the function or class of an installed objective.

    Raises:
        ObjectiveError: there is none of that name, or it cannot be imported.
    """
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
