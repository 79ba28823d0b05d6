"""Files of JSON lines that outlive a kill: what is there need not be done again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def append_line(file: Path, line: str) -> None:
    """Append a line; where a kill cut off the last one, begin a new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as stream:
        if stream.tell() and not _ends_with_newline(file):
            stream.write(b"\n")
        stream.write(line.encode() + b"\n")


def _ends_with_newline(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """Read JSON lines; one that a kill cut off is dropped."""
    if not file.exists():
        return
    for line in file.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
