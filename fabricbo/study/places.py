"""Where the files of images lie: a folder of this machine, or what fsspec reaches by URL.

A place gives and takes whole files. What was written is there for good, whole, or not at all.
"""

import os
from pathlib import Path
from typing import Protocol

from fabricbo.imagefiles import read_file
from fabricbo.study.durable import sync_folder


class Place(Protocol):
    """Files by their names, such as `ab/abcd.png`."""

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            FileNotFoundError: there is none.
            TooLargeError: it has more than `MAX_BYTES`.
            ImagesGoneError: the place does not answer.
        """

    def write(self, name: str, data: bytes) -> None:
        """Make a file, durably; one of that name is replaced.

        Raises:
            OSError: it cannot be written here.
            ImagesGoneError: the place does not answer, or refuses.
        """

    def has(self, name: str) -> bool:
        """Tell whether there is such a file, be it damaged.

        Raises:
            ImagesGoneError: the place does not answer.
        """

    def set_aside(self, name: str) -> str:
        """Move a file out of the way, replacing none, and return where it is now.

        Raises:
            FileNotFoundError: there is none.
            ImagesGoneError: the place does not answer, or refuses.
        """

    def text(self, name: str) -> str:
        """Return where a file lies, for messages."""


class LocalPlace:
    """A folder of this machine: files are synced, then renamed, then their folder is synced."""

    def __init__(self, folder: Path, aside: Path | None = None) -> None:
        """Take the folder, and another one for what is set aside (else `quarantine` in it)."""
        self._folder = folder
        self._aside = folder / "quarantine" if aside is None else aside

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            FileNotFoundError: there is none.
            TooLargeError: it has more than `MAX_BYTES`.
        """
        return read_file(self._folder / name)

    def write(self, name: str, data: bytes) -> None:
        """Make a file, durably.

        Raises:
            OSError: it cannot be written.
        """
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)

    def has(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return (self._folder / name).exists()

    def set_aside(self, name: str) -> str:
        """Move a file out of the way, and return where it is now.

        Raises:
            FileNotFoundError: there is none.
        """
        self._aside.mkdir(parents=True, exist_ok=True)
        number, target = 1, self._aside / aside_name(name, 1)
        while target.exists():
            number += 1
            target = self._aside / aside_name(name, number)
        (self._folder / name).rename(target)
        return str(target)

    def text(self, name: str) -> str:
        """Return where a file lies."""
        return str(self._folder / name)


def aside_name(name: str, number: int) -> str:
    """Return what a file that is set aside is called; several of one name are numbered."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f"{stem}{dot}{suffix}" if number == 1 else f"{stem}-{number}{dot}{suffix}"
