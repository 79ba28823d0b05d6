"""From errors to messages and exit statuses: 1 wrong input, 3 stopped by failures."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from sqlalchemy.exc import OperationalError

from fabricbo.executors import ExecutorError
from fabricbo.scoring import ObjectiveError
from fabricbo.study import RepeatedFailureError, StudyError


@contextmanager
def told() -> Iterator[None]:
    """Print what a user can mend as one message instead of a traceback."""
    try:
        yield
    except RepeatedFailureError as error:
        _stop(str(error), 3)
    except OperationalError as error:  # a full disk, a lock, a folder that cannot be written
        _stop(f"the study's store cannot be read or written: {error.orig}", 1)
    except (StudyError, ObjectiveError, ExecutorError, ValueError, OSError) as error:
        _stop(str(error), 1)


def _stop(message: str, status: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(status)
