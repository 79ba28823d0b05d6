"""Finding a logger by its name."""

import importlib
import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from fabricbo.protocols import Logger
from fabricbo.scoring import load_code

READY_MADE = {
    "jsonl": ("fabricbo.loggers.jsonl", "JsonLines", None),
    "tensorboard": ("fabricbo.loggers.tensorboard", "TensorBoard", "tensorboard"),
    "wandb": ("fabricbo.loggers.weights_and_biases", "WeightsAndBiases", "wandb"),
    "mlflow": ("fabricbo.loggers.mlflow", "MlFlow", "mlflow"),
    "trackio": ("fabricbo.loggers.trackio", "Trackio", "trackio"),
}
"""Module, class, and the package that it needs, which is also the extra to install."""


class LoggerError(ValueError):
    """A logger cannot be found or made."""


def load_logger(name: str, options: Mapping[str, Any] | None = None) -> Logger:
    """Find a logger and make it; it connects to nothing before it is told something.

    Args:
        name: a ready-made one, `module:name` or `file.py:name`. The latter two run code: name only
            what you trust. A class is instantiated.
        options: keyword arguments of a class, or of a function that returns the logger.

    Raises:
        LoggerError: not found, not installed, or it does not take the options.
    """
    found = _from_code(name) if ":" in name else _ready_made(name)
    if options or inspect.isclass(found) or not hasattr(found, "log"):
        try:
            found = found(**(options or {}))
        except Exception as error:  # the user's or a plug-in's code: its reason is what helps
            raise LoggerError(f"loggers: {name}: {error}") from error
    if not callable(getattr(found, "log", None)):
        raise LoggerError(f"loggers: {name} has no method `log`")
    return found  # type: ignore[no-any-return]


def _ready_made(name: str) -> Any:
    if name not in READY_MADE:
        raise LoggerError(
            f"loggers: must be {', '.join(READY_MADE)}, module:name or file.py:name, got {name!r}"
        )
    module, made, package = READY_MADE[name]
    if package is not None and find_spec(package) is None:
        raise LoggerError(f"loggers: {name} needs a package: pip install 'fabricbo[{package}]'")
    return getattr(importlib.import_module(module), made)


def _from_code(name: str) -> Any:
    try:
        return load_code(name)
    except Exception as error:  # importing runs the user's code, which may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise LoggerError(f"loggers: {name} cannot be imported: {reason}") from error
