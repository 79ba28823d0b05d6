"""The reference of the study file, made from its pydantic schema.

What a key means is the docstring below its field; type, range and default are the schema's.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from textwrap import dedent
from typing import Any

from pydantic import BaseModel

from docsite.cells import cell
from fabricbo.records import FabricParams
from fabricbo.space import DEFAULT_DOMAINS, Choice
from fabricbo.study.file import template
from fabricbo.study.settings import (
    CheckpointSettings,
    ExecutorSettings,
    GoldCheck,
    LoggerSettings,
    ObjectiveSettings,
    PoolSettings,
    RatingSettings,
    StudySettings,
)
from fabricbo.study.space_settings import SpaceSettings

_HEAD = "| key | type | default | |\n|---|---|---|---|"


@dataclass(frozen=True)
class Table:
    """A table of a study file."""

    heading: str
    model: type[BaseModel]
    says: str


TABLES = (
    Table("At the top", StudySettings, "Keys before the first `[table]`."),
    Table("`[checkpoint]`", CheckpointSettings, "A text instead of a table is its `name`."),
    Table("`[pool]`", PoolSettings, ""),
    Table(
        "`[objective]`, `[[objective]]`, `[[report_with]]`",
        ObjectiveSettings,
        "A text is its `name`, a list stands for several. All other keys are options of the "
        "objective; `[[objective.parts]]` are the parts of `combined`. "
        "[Objectives](../objectives.md) tells what there is.",
    ),
    Table("`[rating]`", RatingSettings, "[People rate](../rating.md) tells more."),
    Table("`[[rating.gold]]`", GoldCheck, ""),
    Table("`[executor]`", ExecutorSettings, "[Many GPUs](../scaling.md) tells more."),
    Table(
        "`[[loggers]]`",
        LoggerSettings,
        "All other keys are options of the logger; [the list](../studies.md#logged-elsewhere).",
    ),
)


def study_file() -> str:
    """Return a page's Markdown: an example, then each table with its keys."""
    lines = [
        *("# Study file", ""),
        "TOML; paths are relative to the file. `fabricbo init` writes this one, which runs as it "
        "is:",
        *("", f"```toml\n{template().strip()}\n```", ""),
        "Unknown keys, wrong types and values outside their range are refused before anything is "
        "loaded, with the key, what came and what is allowed. Only `prompt` must be given.",
    ]
    for table in TABLES[:2]:
        lines += _section(table)
    lines += _space()
    for table in TABLES[2:]:
        lines += _section(table)
    return "\n".join(lines) + "\n"


def meanings(owner: type) -> dict[str, str]:
    """Return the docstring below each field of a class, those of its bases included."""
    found: dict[str, str] = {}
    for of in reversed(owner.__mro__):
        if of.__module__.startswith("fabricbo."):
            found |= dict(_documented(of))
    return found


def _documented(owner: type) -> Iterator[tuple[str, str]]:
    tree = ast.parse(dedent(inspect.getsource(owner)))
    definition = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, words


def _section(table: Table) -> list[str]:
    schema = table.model.model_json_schema()
    own = schema.get("$defs", {}).get(table.model.__name__, schema)  # one that refers to itself
    documented = meanings(table.model)
    lines = ["", f"## {table.heading}", "", str(inspect.getdoc(table.model))]
    lines += ["", table.says] * bool(table.says) + ["", _HEAD]
    for name, field in own["properties"].items():
        if not _is_table(field):
            required = name in own.get("required", ())
            default = "required" if required else _default(field)
            if table.model is StudySettings and name == "name":
                default = "the file's name"
            lines.append(_row(name, field, default, documented[name]))
    return lines


def _row(name: str, field: Mapping[str, Any], default: str, means: str) -> str:
    means = cell(means).replace("None: ", "left out: ")
    return f"| `{name}` | {_type(field)} | {default} | {means} |"


def _is_table(field: Mapping[str, Any]) -> bool:
    """Whether a field has a section of its own."""
    return "$ref" in str(field)


def _space() -> list[str]:
    documented = meanings(FabricParams)
    lines = ["", "## `[space]`", "", str(inspect.getdoc(SpaceSettings)), ""]
    lines += [
        "A number fixes a parameter, `[low, high]` lets it vary, `{ low = 0.1, high = 1.5, log = "
        "true }` by ratio, `{ choices = [0.0, 0.3] }` among values. What is not named:",
        *("", "| parameter | where it is not named | |", "|---|---|---|"),
    ]
    for parameter in fields(FabricParams):
        usual = f"fixed at {parameter.default}"
        if parameter.name in DEFAULT_DOMAINS:
            domain = DEFAULT_DOMAINS[parameter.name]
            span = domain.values if isinstance(domain, Choice) else [domain.low, domain.high]
            usual = f"varies in {span}"
        lines.append(f"| `{parameter.name}` | {usual} | {cell(documented[parameter.name])} |")
    own = SpaceSettings.model_json_schema()["properties"]
    documented = meanings(SpaceSettings)
    lines += ["", _HEAD]
    for name in ("roles", "max_liked", "max_disliked", "strengths"):
        lines.append(_row(name, own[name], _default(own[name]), documented[name]))
    return lines


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if default is None or default in ([], ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        kinds = [_type(kind) for kind in field["anyOf"] if kind.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}s"
    names = {"string": "text", "number": "number", "integer": "whole number", "boolean": "boolean"}
    kind = "path" if field.get("format") == "path" else names[field["type"]]
    return " ".join([kind, *_range(field)])


def _range(field: Mapping[str, Any]) -> list[str]:
    signs = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
        "multipleOf": "a multiple of",
    }
    return [f"{word} {field[key]:.10g}" for key, word in signs.items() if key in field]
