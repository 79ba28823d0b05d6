"""What docs/api.md promises, one line a name: `python -m tests.public_api` writes the kept list.

Types are left out: the consumer project in `tests/consumer` is checked with them.
"""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
KEPT = ROOT / "tests" / "data" / "public_api.txt"
_ROW = re.compile(r"^\| `(fabricbo\.[\w.]+)` \| (.+) \|$", re.MULTILINE)


def promised() -> dict[str, str]:
    """Return the public names of the page, and what it says of each."""
    return dict(_ROW.findall(PAGE.read_text("utf-8")))


def found(name: str) -> Any:
    """Return what a dotted name stands for."""
    module, _, last = name.rpartition(".")
    return getattr(import_module(module), last)


def public_lines() -> list[str]:
    """Return a line for each public name, and for each public part of a class."""
    return [line for name in promised() for line in _lines(name, found(name))]


def _lines(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        yield f"{name}{_call(value)}" if callable(value) else name
        return
    if issubclass(value, Exception | Enum):
        yield name
    else:
        yield f"{name}{_call(value)}"
    for part in sorted(vars(value)):
        if not part.startswith("_") and not _is_a_library_s(part):
            inner = inspect.getattr_static(value, part)
            called = getattr(value, part)
            is_call = isinstance(inner, classmethod | staticmethod) or inspect.isfunction(inner)
            yield f"{name}.{part}{_call(called) if is_call else ''}"


def _is_a_library_s(part: str) -> bool:
    return part.startswith("model_")  # pydantic's


def _call(value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parts, named_only = [], False
    for one in signature.parameters.values():
        if one.name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and not named_only:
            named_only = True
            parts.append("*")
        star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        parts.append(f"{star}{one.name}" + ("" if one.default is one.empty else "=..."))
    return f"({', '.join(parts)})"


if __name__ == "__main__":
    KEPT.write_text("".join(f"{line}\n" for line in public_lines()), "utf-8")
