"""Time that a program needs, on a machine that others use as well."""

import time
from pathlib import Path

_QUEUED = Path("/proc/self/schedstat")


def own_seconds() -> float:
    """Return a time that stands still while this thread could run and another has its core.

    It goes on while it computes, and while it waits for a disk or a database. Only Linux knows
    the difference; elsewhere this is the time on the wall.
    """
    try:
        queued = int(_QUEUED.read_text("ascii").split()[1]) / 1e9
    except OSError:
        queued = 0.0
    return time.perf_counter() - queued
