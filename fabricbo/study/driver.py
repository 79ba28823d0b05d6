"""One process at a time draws for a study: two would draw the same trials, each for itself.

The lock is the operating system's, so that it ends with its process, however that ends.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from fabricbo.study.errors import StudyInUseError

LOCK_NAME = "driver.lock"
"""In a study's folder."""
_ABOUT_NAME = "driver.json"
"""Who holds the lock: beside it, since a locked file cannot be read everywhere."""


@contextmanager
def driving(folder: Path) -> Iterator[None]:
    """Draw for a study, alone; a thread that has the lock may take it again.

    Raises:
        StudyInUseError: another process or thread does.
    """
    lock, about = FileLock(folder / LOCK_NAME, is_singleton=True), folder / _ABOUT_NAME
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StudyInUseError(
            f"the study in {folder} is being drawn for by {_holder(about)}; wait for it or stop "
            "it, it keeps everything"
        ) from None
    outermost = lock.lock_counter == 1
    try:
        if outermost:
            since = datetime.now(UTC).isoformat(timespec="seconds")
            holder = {"process": os.getpid(), "machine": socket.gethostname(), "since": since}
            about.write_text(json.dumps(holder), "utf-8")
        yield
    finally:
        if outermost:
            about.unlink(missing_ok=True)
        lock.release()


def _holder(about: Path) -> str:
    try:
        known = json.loads(about.read_text("utf-8"))
        return f"process {known['process']} on {known['machine']}, since {known['since']}"
    except (OSError, ValueError, KeyError):  # it has only just begun
        return "another process"
