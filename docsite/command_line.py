"""The reference of the command line, made from what Typer knows of it."""

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from docsite.cells import cell

_HEAD = "| option | what it does |\n|---|---|"


def command_line(app: typer.Typer) -> str:
    """Return a page's Markdown: the options of all commands, then each command with its own."""
    group = get_command(app)
    lines = ["# Command line", "", str(group.help), "", "Options before the command:", ""]
    lines += _table(group)
    commands: dict[str, Any] = group.commands  # type: ignore[attr-defined]
    for name, command in sorted(commands.items()):
        lines += ["", f"## {name}", "", command.help, "", f"`{_usage(name, command)}`", ""]
        lines += _table(command)
    lines += [
        "",
        "What a process ends with is told [for programs](../studies.md#for-programs).",
        "",
    ]
    return "\n".join(lines)


def _usage(name: str, command: Any) -> str:
    arguments = [p.metavar or p.name.upper() for p in command.params if _is_argument(p)]
    return " ".join(["fabricbo", name, *arguments, "[OPTIONS]"])


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def _table(command: Any) -> list[str]:
    rows = [f"| {cell(_names(p))} | {cell(' '.join(_says(p)))} |" for p in command.params]
    return [_HEAD, *rows] if rows else ["No options."]


def _names(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{parameter.metavar or parameter.name.upper()}`"
    taken = "" if _is_flag(parameter) else f" {parameter.metavar or _kind(parameter)}"
    return ", ".join(f"`{name}{taken}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _kind(parameter: Any) -> str:
    """What stands for the value: `--seed INT`."""
    annotation = parameter.type_descriptor.annotation
    return "TEXT" if annotation is str else str(getattr(annotation, "__name__", "TEXT")).upper()


def _says(parameter: Any) -> Iterator[str]:
    yield parameter.help or ""
    if parameter.required:
        yield "Required."
    elif not _is_flag(parameter) and parameter.default not in (None, ""):
        default = parameter.default
        yield f"Default: `{getattr(default, 'value', default)}`."
    if parameter.envvar:
        yield f"Also by `{parameter.envvar}` in the environment."
