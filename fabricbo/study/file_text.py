"""Settings as the text of a study file: what `read_study_file` reads back."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fabricbo.study.settings import StudySettings

_HERE = ("storage", "database", "images_at", "executor", "loggers")
"""How and where a study is run, not what comes out."""
_TEXTS = ("prompt", "negative_prompt", "heldout_prompts", "instructions", "consent")
"""What people wrote, which stays as it is even where it looks like a path."""


def study_file_text(settings: StudySettings) -> str:
    """Return a study file with what differs from the defaults.

    Of files and folders of this machine only the names are there: they are to lie beside the file,
    and nobody whom it is shown to needs to know where they lay.
    """
    data = settings.model_dump(mode="json", exclude_defaults=True)
    kept = _without_paths({key: value for key, value in data.items() if key not in _HERE})
    if "space" in kept:
        parameters = kept["space"].pop("parameters", {})
        kept["space"] = {**{k: _short(v) for k, v in parameters.items()}, **kept["space"]}
    plain = {key: value for key, value in kept.items() if not _is_table(value)}
    lines = [_pair(key, value) for key, value in plain.items()]
    for key, value in kept.items():
        tables = value if isinstance(value, list) else [value]
        if key not in plain:
            head = f"[[{key}]]" if len(tables) > 1 else f"[{key}]"
            for table in tables:
                lines += ["", head, *(_pair(k, v) for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    several = value if isinstance(value, list) else [value]
    return bool(several) and all(isinstance(one, Mapping) for one in several)


def _short(value: Any) -> Any:
    """Write a plain range as a pair."""
    if isinstance(value, Mapping) and value.keys() == {"low", "high"}:
        return [value["low"], value["high"]]
    return value


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: one if k in _TEXTS else _without_paths(one) for k, one in value.items()}
    if isinstance(value, list):
        return [_without_paths(one) for one in value]
    if isinstance(value, str) and value.startswith(("/", "~")) and "\n" not in value:
        return Path(value).name
    return value


def _pair(key: str, value: Any) -> str:
    name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)
    return f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pair(key, one) for key, one in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for one character that TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value, allow_nan=False)
