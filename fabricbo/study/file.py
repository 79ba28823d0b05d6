"""The study file: TOML in, settings out."""

import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from fabricbo.study.checked import SettingsError
from fabricbo.study.settings import StudySettings, check_settings

_PATHS = (("pool", "folder"), ("checkpoint", "lora"), ("checkpoint", "config"))


def template() -> str:
    """Return a commented study file that runs as it is."""
    return files("fabricbo.study").joinpath("template.toml").read_text("utf-8")


def read_study_file(path: Path) -> StudySettings:
    """Read a study file; paths in it are relative to its folder.

    The name of the study is the file's name unless it is given.

    Raises:
        SettingsError: no such file, no TOML, or a setting that is wrong; names each field.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))  # some editors begin with a mark
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        hint = "; `fabricbo init` writes one to start from" if missing else ""
        raise SettingsError(f"cannot read {path}: {error.strerror}{hint}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is no TOML: {error}") from error
    return check_settings(_located({"name": path.stem, **data}, path.parent.absolute()))


def _located(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make paths absolute, so that a study can be resumed from anywhere."""
    data = {**data, "storage": _absolute(data.get("storage", "studies"), folder)}
    for section, key in _PATHS:
        if isinstance(data.get(section), Mapping) and key in data[section]:
            data[section] = {**data[section], key: _absolute(data[section][key], folder)}
    if "start_from" in data:
        data["start_from"] = _absolute(data["start_from"], folder)
    for section in ("checkpoint", "objective", "report_with", "loggers"):
        if section in data:
            data[section] = _all_named(data[section], folder)
    return data


def _all_named(section: Any, folder: Path) -> Any:
    if isinstance(section, list):
        return [_named(one, folder) for one in section]
    return _named(section, folder)


def _named(section: Any, folder: Path) -> Any:
    """Locate files that a checkpoint or an objective names, in its name or its options."""
    if isinstance(section, str):
        section = {"name": section}
    if not isinstance(section, Mapping):
        return section
    located = {key: _existing(value, folder) for key, value in section.items()}
    if "parts" in section:
        located["parts"] = _all_named(section["parts"], folder)
    return located


def _existing(value: Any, folder: Path) -> Any:
    """Make a string absolute if it names a file or folder beside the study file."""
    if not isinstance(value, str) or not value:
        return value
    name, colon, attribute = value.partition(".py:")
    target = folder / (f"{name}.py" if colon else value)
    if not os.path.exists(target):  # noqa: PTH110  # Path.exists raises for a long text
        return value
    return f"{target}:{attribute}" if colon else str(target)


def _absolute(value: Any, folder: Path) -> Any:
    return str(folder / Path(value).expanduser()) if isinstance(value, str | Path) else value
