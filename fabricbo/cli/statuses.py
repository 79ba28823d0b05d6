"""Exit statuses of all commands; docs/studies.md has the same table."""

import errno
from enum import IntEnum

from sqlalchemy.exc import OperationalError

from fabricbo.executors import ExecutorError
from fabricbo.study import RepeatedFailureError, StudyInUseError
from fabricbo.study.errors import DatabaseGoneError, StoreWriteError


class Status(IntEnum):
    """What a command ended with, for scripts and schedulers."""

    DONE = 0
    WRONG = 1
    """Wrong input, or something is left to mend; the same command would come to the same end."""
    USAGE = 2
    """No such command or option; Typer's own."""
    FAILURES = 3
    """Three trials in a row failed; somebody should look why."""
    TRY_AGAIN = 75
    """The infrastructure failed: database, workers, disk; or another process draws. The same
    command, later, goes on (`EX_TEMPFAIL` of sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C; 128 and the signal's number, as shells have it."""
    TERMINATED = 143
    """SIGTERM, which schedulers send before they kill."""


_OUT_OF_REACH = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)
"""What disks and file servers say when they are full or gone."""


def status_of(error: Exception) -> Status:
    """Return what a command ends with that an error has ended."""
    if isinstance(error, RepeatedFailureError):
        return Status.FAILURES
    gone = (DatabaseGoneError, ExecutorError, OperationalError, StoreWriteError, StudyInUseError)
    if isinstance(error, gone):
        return Status.TRY_AGAIN
    if isinstance(error, OSError) and error.errno in _OUT_OF_REACH:
        return Status.TRY_AGAIN
    return Status.WRONG
