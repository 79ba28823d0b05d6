"""The `parameters` text of AUTOMATIC1111's WebUI: prompt, negative prompt, one line of settings.

WebUI's own reader takes lines apart as this one does, but strips each of them; whatever matters to
us exactly stands in our own text beside it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

KEY = "parameters"
"""Of the text in a PNG file."""
_NEGATIVE = "Negative prompt:"
_LEAST_SETTINGS = 3
"""With fewer, the last line of a text belongs to the prompt."""
_SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')


@dataclass(frozen=True, slots=True)
class WebuiText:
    """What WebUI says about an image."""

    prompt: str
    negative_prompt: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    """By WebUI's names, such as `CFG scale`, in their order."""


def write_webui_text(said: WebuiText) -> str:
    """Return it as text; values that would be taken apart are quoted."""
    parts = [said.prompt] if said.prompt else []
    if said.negative_prompt:
        parts.append(f"{_NEGATIVE} {said.negative_prompt}")
    if said.settings:
        parts.append(", ".join(f"{key}: {_quoted(v)}" for key, v in said.settings.items()))
    return "\n".join(parts)


def read_webui_text(text: str) -> WebuiText:
    """Take a text apart, whoever wrote it; what is no setting is prompt."""
    *lines, last = text.split("\n")
    found = _SETTING.findall(last)
    if len(found) < _LEAST_SETTINGS:
        lines, found = [*lines, last], []
    marked = [number for number, line in enumerate(lines) if line.startswith(_NEGATIVE)]
    split = marked[0] if marked else len(lines)
    negative = "\n".join(lines[split:]).removeprefix(_NEGATIVE).removeprefix(" ")
    settings = {key: _unquoted(value) for key, value in found}
    return WebuiText("\n".join(lines[:split]), negative, settings)


def _quoted(value: str) -> str:
    taken_apart = not value or value != value.strip() or value[0] == '"'
    plain = not taken_apart and not any(sign in value for sign in ",\n:")
    return value if plain else json.dumps(value, ensure_ascii=False)


def _unquoted(value: str) -> str:
    if len(value) < 2 or not value[0] == value[-1] == '"':
        return value
    try:
        read = json.loads(value)
    except ValueError:  # somebody's own quotes
        return value
    return str(read)
