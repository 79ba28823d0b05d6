"""One process at a time draws for a study: two would draw the same trials, each for itself.

The lock is the operating system's, so that it ends with its process, however that ends. Where
the rows are in a PostgreSQL database, it holds one there, too, since other machines may share it.
"""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from fabricbo.study.database import Database, connect, patiently
from fabricbo.study.errors import StudyInUseError
from fabricbo.study.location import Location

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = "driver.lock"
"""In a study's folder."""
_PATIENCE = 0.5
"""Seconds to try: somebody who looks whether it is held has it for an instant."""
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
        lock.acquire(timeout=_PATIENCE, poll_interval=0.05)
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
    key = _key(location)
    connection = engine.connect()
    about = f"fabricbo {os.getpid()} on {socket.gethostname()}"
    connection.execute(_CALL_ME, {"name": about[:63]})
    if connection.scalar(_LOCK, key):
        return connection
    found = connection.execute(_WHO, key).mappings().one_or_none()
    who = Driver() if found is None else _named(**found)
    connection.close()
    raise StudyInUseError(
        f"{location} is being drawn for by {who}; wait for it or stop it, it keeps everything"
    )


_CALL_ME = sa.text("SELECT set_config('application_name', :name, false)")
_LOCK = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_WHO = sa.text(
    "SELECT application_name, backend_start FROM pg_stat_activity JOIN pg_locks USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND "
    # Locks of other databases of the server are listed, too.
    "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
    "((classid::bigint << 32) | objid::bigint) = hashtextextended(:name, 0)"
)


@dataclass(frozen=True, slots=True)
class Driver:
    """Who draws for a study; None where it is not known."""

    process: int | None = None
    machine: str | None = None
    since: datetime | None = None
    """In UTC."""

    def __str__(self) -> str:
        """Return it for messages."""
        if self.process is None:
            return "another process"
        since = "" if self.since is None else f", since {self.since.isoformat(timespec='seconds')}"
        return f"process {self.process} on {self.machine}{since}"


def driver_of(database: Database) -> Driver | None:
    """Return who draws for a study; None where nobody does. Nobody is kept from drawing by this.

    Raises:
        DatabaseGoneError: its database does not answer.
    """
    folder = database.location.folder
    if database.is_postgres:
        row = database.once(_WHO, _key(database.location)).mappings().one_or_none()
        if row is not None:
            return _named(**row)
    return _holder(folder / _ABOUT_NAME) if _is_locked(folder / LOCK_NAME) else None


def _is_locked(file: Path) -> bool:
    """Tell whether somebody has the lock, also where nothing can be written."""
    try:
        with file.open("rb") as opened:
            return not _can_share(opened.fileno())
    except FileNotFoundError:
        return False
    except PermissionError:  # Windows lets nobody read what is locked
        return True


def _can_share(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        # Shared, so that those who look do not see each other; gone when the file is closed.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _key(location: Location) -> dict[str, str]:
    return {"name": f"fabricbo draws for {location.schema}"}


def _holder(about: Path) -> Driver:
    try:
        known = json.loads(about.read_text("utf-8"))
        since = datetime.fromisoformat(known["since"])
        return Driver(known["process"], known["machine"], since)
    except (OSError, ValueError, KeyError):  # it has only just begun
        return Driver()


def _named(application_name: str, backend_start: datetime | None) -> Driver:
    """Read what whoever has the lock in a database called itself."""
    match = re.fullmatch(r"fabricbo (\d+) on (.+)", application_name)
    return Driver() if match is None else Driver(int(match[1]), match[2], backend_start)
