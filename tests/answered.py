"""Reading what commands answer with `--json`, as programs do: by the kept schemas."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"


@cache
def _validator(name: str) -> Any:
    return jsonschema_rs.validator_for(json.loads((SCHEMAS / f"{name}.json").read_text("utf-8")))


def answered(name: str, text: str) -> Any:
    """Return the one object that a command printed; it must be as its schema says."""
    (line,) = text.splitlines()
    found = json.loads(line)
    _validator(name).validate(found)
    return found
