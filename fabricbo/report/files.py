"""Pages are written whole or not at all."""

import os
from pathlib import Path


def write_whole(target: Path, text: str) -> Path:
    """Write a file that appears under its name when it is whole; returns its absolute path."""
    target = target.absolute()
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target
