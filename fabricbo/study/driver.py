"""One process at a time draws for a study: two would draw the same trials, each for itself.

The lock is the operating system's, so that it ends with its process, however that ends. Where
the rows are in a PostgreSQL database, it holds one there, too, since other machines may share it.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from fabricbo.study.database import connect, patiently
from fabricbo.study.errors import StudyInUseError
from fabricbo.study.location import Location

LOCK_NAME = "driver.lock"
"""In a study's folder."""
_ABOUT_NAME = "driver.json"
"""Who holds the lock: beside it, since a locked file cannot be read everywhere."""


@contextmanager
def driving(location: Location) -> Iterator[None]:
    """Draw for a study, alone; a thread that has the lock may take it again.

    Raises:
        StudyInUseError: another process or thread does.
        DatabaseGoneError: its database does not answer.
    """
    folder = location.folder
    lock, about = FileLock(folder / LOCK_NAME, is_singleton=True), folder / _ABOUT_NAME
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StudyInUseError(
            f"the study in {folder} is being drawn for by {_holder(about)}; wait for it or stop "
            "it, it keeps everything"
        ) from None
    outermost = lock.lock_counter == 1
    locked = ExitStack()
    try:
        if outermost:
            if location.database is not None:
                locked.enter_context(_driving_in_database(location))
            since = datetime.now(UTC).isoformat(timespec="seconds")
            holder = {"process": os.getpid(), "machine": socket.gethostname(), "since": since}
            about.write_text(json.dumps(holder), "utf-8")
        yield
    finally:
        if outermost:
            about.unlink(missing_ok=True)
            locked.close()
        lock.release()


@contextmanager
def _driving_in_database(location: Location) -> Iterator[None]:
    """Hold a lock that the database gives up when this connection ends."""
    engine = connect(location, writes=False)
    try:
        connection = patiently(location, partial(_lock, engine, location))
        yield
        connection.close()
    finally:
        engine.dispose()  # and with the connection goes the lock


def _lock(engine: sa.Engine, location: Location) -> sa.Connection:
    """Return the connection that holds the lock."""
    key = {"name": f"fabricbo draws for {location.schema}"}
    connection = engine.connect()
    about = f"fabricbo {os.getpid()} on {socket.gethostname()}"
    connection.execute(_CALL_ME, {"name": about[:63]})
    if connection.scalar(_LOCK, key):
        return connection
    who = connection.scalar(_WHO, key) or "another process"
    connection.close()
    raise StudyInUseError(
        f"{location} is being drawn for by {who}; wait for it or stop it, it keeps everything"
    )


_CALL_ME = sa.text("SELECT set_config('application_name', :name, false)")
_LOCK = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_WHO = sa.text(
    "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND "
    "((classid::bigint << 32) | objid::bigint) = hashtextextended(:name, 0)"
)


def _holder(about: Path) -> str:
    try:
        known = json.loads(about.read_text("utf-8"))
        return f"process {known['process']} on {known['machine']}, since {known['since']}"
    except (OSError, ValueError, KeyError):  # it has only just begun
        return "another process"
