"""From errors to messages and exit statuses."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from sqlalchemy.exc import OperationalError

from fabricbo.cli.interrupts import Terminated
from fabricbo.cli.logs import complain
from fabricbo.cli.statuses import Status, status_of
from fabricbo.executors import ExecutorError
from fabricbo.scoring import ObjectiveError
from fabricbo.study import StudyError


@contextmanager
def told() -> Iterator[None]:
    """Print what a user can mend as one message instead of a traceback."""
    try:
        yield
    except OperationalError as error:  # a full disk, a lock, a folder that cannot be written
        _stop(f"the study's store cannot be read or written: {error.orig}", status_of(error))
    except (StudyError, ObjectiveError, ExecutorError, ValueError, OSError) as error:
        _stop(str(error), status_of(error))
    except KeyboardInterrupt as stop:
        raise typer.Exit(stopped_by(stop)) from None


def stopped_by(stop: KeyboardInterrupt) -> Status:
    """Return what a command ends with that somebody has stopped."""
    return Status.TERMINATED if isinstance(stop, Terminated) else Status.INTERRUPTED


def _stop(message: str, status: Status) -> None:
    complain(message, status)
    raise typer.Exit(status)
