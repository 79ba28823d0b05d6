"""The shape that all answers share, and printing one: for people, or as JSON."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.console import RenderableType
from rich.text import Text

from fabricbo.cli.consoles import results


class Told(BaseModel):
    """A value in an answer; what is public of it is what its schema says."""

    model_config = ConfigDict(
        frozen=True, use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )


class Answer(Told):
    """What a command found, or did."""

    format: int
    """Version of the keys of this command's answer: within one, keys are only ever added."""
    next: tuple[str, ...] = ()
    """Commands that usually follow, ready for a shell."""

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self.model_dump(mode="json"), allow_nan=False)


def tell(found: Answer, lines: Iterable[RenderableType], *, as_json: bool) -> None:
    """Print an answer.

    Args:
        found: the answer.
        lines: the same for people; not asked for where it is for programs.
        as_json: whether it is for programs.
    """
    if as_json:
        print(found.to_json(), flush=True)
        return
    console = results()
    for line in lines:
        console.print(line, soft_wrap=isinstance(line, str | Text))
    for command in found.next:
        console.print(f"next: {command}", soft_wrap=True)


def command(*words: str | Path) -> str:
    """Return a command of ours, ready for a shell."""
    return shlex.join(["fabricbo", *map(str, words)])
