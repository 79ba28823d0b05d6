"""Reading what other programs wrote, told apart by what is in it; files may come from anybody."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from fabricbo.interop import webui_text
from fabricbo.interop.authors import read_authors_config
from fabricbo.interop.comfyui_reading import read_workflow
from fabricbo.interop.community import read_community_arguments
from fabricbo.interop.recipe import Converted, Recipe
from fabricbo.interop.webui_reading import read_preset, read_text, read_ui_defaults

MAX_BYTES = 2**22
"""Of a text file."""
MAX_YAML = 2**16
"""Of a YAML file, which takes long to read."""
_DEEPEST = 20
"""Of YAML: further down, reading takes ever longer."""
WORKFLOW = "prompt"
"""Key of the text of ComfyUI's PNG files that holds the workflow in its API format."""

_Reader = Callable[[Mapping[str, Any]], Converted[Recipe]]


def read_texts(texts: Mapping[str, str]) -> Converted[Recipe]:
    """Read the texts of a PNG file by WebUI or ComfyUI.

    Raises:
        ValueError: it has none of their texts, or one that cannot be read.
    """
    if webui_text.KEY in texts:
        return read_text(texts[webui_text.KEY])
    if WORKFLOW in texts:
        return read_workflow(_json(texts[WORKFLOW]))
    raise ValueError("the image does not say how it was drawn")


def read_data(data: bytes, suffix: str) -> Converted[Recipe]:
    """Read a text file by another program.

    Args:
        data: its bytes.
        suffix: of its name: `.json`, `.yaml`, `.yml` or `.txt`.

    Raises:
        ValueError: it is too large, or nothing that is known.
    """
    limit = MAX_YAML if suffix in (".yaml", ".yml") else MAX_BYTES
    if len(data) > limit:
        raise ValueError(f"the file has {len(data)} bytes; at most {limit} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is no text in UTF-8: {error}") from error
    if suffix == ".txt":
        return read_text(text.strip())
    if suffix in (".yaml", ".yml"):
        return read_authors_config(_yaml(text))
    if suffix == ".json":
        found = _json(text)
        return _reader(found)(found)
    raise ValueError("expected an image, or a .json, .yaml or .txt file")


def _reader(data: Mapping[str, Any]) -> _Reader:
    """Tell what a JSON object is by its keys."""
    if "liked_paths" in data or "disliked_paths" in data:
        return read_preset
    if any(key.startswith("customscript/fabric.py/") for key in data):
        return read_ui_defaults
    if "feedback" in data:
        return read_authors_config
    if "prompt" in data and not isinstance(data["prompt"], str | type(None)):
        return _read_request
    if "nodes" in data or any(isinstance(value, Mapping) for value in data.values()):
        return read_workflow
    return read_community_arguments


def _read_request(data: Mapping[str, Any]) -> Converted[Recipe]:
    """Read what is sent to ComfyUI's `/prompt`: a workflow in an envelope."""
    workflow = data["prompt"]
    return read_workflow(workflow if isinstance(workflow, Mapping) else {})


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {str(error)[:200]}") from error
    return _object(found)


def _yaml(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError(f"nested deeper than {_DEEPEST}")
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"it is no YAML: {str(error)[:200]}") from error
    return _object(found)


def _object(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ValueError("it must be an object with names")
    return found
