"""Connections to where the rows are: SQLite or PostgreSQL, with the same promises.

SQLite has a write-ahead log and full sync, PostgreSQL commits synchronously: what a call has
stored survives a kill or a power cut after it. Writers take turns, from the start of their
transaction to its end, so that what a transaction reads holds until it commits.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import sqlalchemy as sa

from fabricbo.study import schema
from fabricbo.study.checked import SettingsError
from fabricbo.study.errors import (
    DatabaseGoneError,
    NameInUseError,
    NewerStoreError,
    NotAStudyError,
    StoreWriteError,
)
from fabricbo.study.location import Location

T = TypeVar("T")
Values = Mapping[str, Any] | None
PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0)
"""Seconds between the attempts to reach a database that does not answer."""
_LOCK_SECONDS = 30

_log = logging.getLogger(__name__)


class Database:
    """Where the rows of one study are; to be shared by all that read and write them."""

    def __init__(self, location: Location) -> None:
        """Open it, and bring it up to date if an earlier version wrote it.

        Raises:
            NotAStudyError: there is no store, or the file is none.
            NewerStoreError: written by a newer version.
            MigrationError: it cannot be brought up to date, and is as it was.
            DatabaseGoneError: the database does not answer.
        """
        if location.database is None and not location.file.is_file():
            raise NotAStudyError(f"no study at {location.folder} (there is no store)")
        self.location = location
        self.engine = connect(location)
        """Its transactions take the write lock at their start."""
        self._reader = connect(location, writes=False)
        check_version(self.engine, self._reader, location)

    @property
    def is_postgres(self) -> bool:
        """Whether it is PostgreSQL."""
        return self.location.database is not None

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
        self._reader.dispose()

    def reading(self) -> AbstractContextManager["Readable"]:
        """Return a connection whose statements each see what is there, and wait for nobody.

        Each is tried again where the connection breaks.
        """
        return nullcontext(_Persistent(self)) if self.is_postgres else self._reader.connect()

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Do some reading that sees one state; tried again where the connection breaks.

        Raises:
            DatabaseGoneError: the database has not answered for a minute.
        """

        def reading() -> T:
            with self._snapshot() as connection:
                return work(connection)

        return patiently(self.location, reading)

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Do some writing in one transaction; tried again where the connection breaks.

        Args:
            work: harmless if it was done before: a connection may break after a commit has
                arrived, before anybody has heard so.

        Raises:
            DatabaseGoneError: the database has not answered for a minute.
            StoreWriteError: nothing can be written; what was there is.
        """

        def writing() -> T:
            with self.engine.begin() as connection:
                return work(connection)

        return patiently(self.location, writing)

    def write_once(self, work: Callable[[sa.Connection], T]) -> T:
        """Do some writing that must not be done twice; never tried again.

        Raises:
            StoreWriteError: nothing can be written; what was there is.
        """
        try:
            with self.engine.begin() as connection:
                return work(connection)
        except sa.exc.OperationalError as error:
            raise StoreWriteError(_cannot(self.location, error)) from error

    def once(self, query: sa.Executable, values: Values = None) -> sa.Result[Any]:
        """Run one statement that reads, and return all that it found.

        Raises:
            DatabaseGoneError: the database has not answered for a minute.
        """

        def reading() -> sa.Result[Any]:
            with self._reader.connect() as connection:
                return connection.execute(query, values).freeze()()

        return patiently(self.location, reading)

    @contextmanager
    def _snapshot(self) -> Iterator[sa.Connection]:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.is_postgres else "BEGIN"
        with self._reader.connect() as connection:
            connection.exec_driver_sql(begin)
            try:
                yield connection
            finally:
                # One that is broken has nothing to take back, and what broke it is being raised.
                if not connection.invalidated:
                    _take_back(connection)


def patiently(location: Location, work: Callable[[], T]) -> T:
    """Do something with a database, tried again where the connection breaks.

    Raises:
        DatabaseGoneError: it has not answered for a minute.
        StoreWriteError: the file cannot be written.
    """
    is_remote = location.database is not None
    pauses = iter(PAUSES if is_remote else ())
    while True:
        try:
            return work()
        except sa.exc.OperationalError as error:
            pause = next(pauses, None)
            if pause is None:
                kind = DatabaseGoneError if is_remote else StoreWriteError
                raise kind(_cannot(location, error)) from error
            _log.warning("%s does not answer, trying again: %s", location, error.orig)
            time.sleep(pause)


def _cannot(location: Location, error: sa.exc.OperationalError) -> str:
    said = str(error.orig).strip() or "no answer"
    return f"{location}: {said}. What was stored before is kept; this was not"


class Readable(Protocol):
    """What statements that read are put to."""

    def execute(self, query: sa.Executable, values: Values = None, /) -> sa.Result[Any]:
        """Run a statement."""

    def scalar(self, query: sa.Executable, values: Values = None, /) -> Any:
        """Run a statement, and return the first column of its first row; None without any."""


@dataclass(frozen=True, slots=True)
class _Persistent:
    """Puts each statement to a connection that works."""

    database: Database

    def execute(self, query: sa.Executable, values: Values = None, /) -> sa.Result[Any]:
        return self.database.once(query, values)

    def scalar(self, query: sa.Executable, values: Values = None, /) -> Any:
        return self.database.once(query, values).scalar()


def _take_back(connection: sa.Connection) -> None:
    try:
        connection.exec_driver_sql("ROLLBACK")
    except sa.exc.DBAPIError:
        connection.invalidate()


def connect(location: Location, *, writes: bool = True) -> sa.Engine:
    """Return an engine whose transactions take the write lock at their start.

    Args:
        location: where the rows are.
        writes: False for one whose statements each see what is there, and wait for nobody.
    """
    if location.database is None:
        return _sqlite(location.file, writes=writes)
    return _postgres(location.database, location.schema, writes=writes)


@contextmanager
def creating(location: Location) -> Iterator[sa.Connection]:
    """Make new tables and let them be filled; they are there when they are whole, or never.

    Raises:
        NameInUseError: the database has a study of that name.
        DatabaseGoneError: it does not answer.
    """
    if location.database is None:
        with _creating_file(location.file) as connection:
            yield connection
        return
    engine = connect(location)
    try:
        with engine.begin() as connection:
            _create_schema(connection, location)
            schema.metadata.create_all(connection, checkfirst=False)
            yield connection
    except sa.exc.OperationalError as error:
        raise DatabaseGoneError(f"{location}: {error.orig}") from error
    finally:
        engine.dispose()
    location.point()


def _create_schema(connection: sa.Connection, location: Location) -> None:
    # Writers take turns, so nobody makes it in between.
    if sa.inspect(connection).has_schema(location.schema):
        raise NameInUseError(
            f"name: {location} is there already; use it as "
            f"'{location.database}#{location.folder.name}', or choose another name"
        )
    connection.execute(sa.schema.CreateSchema(location.schema))


@contextmanager
def _creating_file(file: Path) -> Iterator[sa.Connection]:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    engine = _sqlite(part, writes=True)
    try:
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            yield connection
    except BaseException:
        engine.dispose()
        part.unlink(missing_ok=True)
        raise
    engine.dispose()
    part.rename(file)


def _sqlite(file: Path, *, writes: bool) -> sa.Engine:
    # What only reads has no transaction that would have to be taken back.
    on_return = "rollback" if writes else None
    unchanging = not writes and _cannot_change(file)
    engine = sa.create_engine(
        f"sqlite:///file:{quote(str(file))}?immutable=1&uri=true"
        if unchanging
        else f"sqlite:///{file}",
        json_serializer=_strict_json,
        pool_reset_on_return=on_return,
    )
    if unchanging:
        return engine

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, see below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA busy_timeout={_LOCK_SECONDS * 1000}")
        connection.execute("PRAGMA cache_size=-512")  # KiB each, and a server has many

    if writes:

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _cannot_change(file: Path) -> bool:
    """Tell whether a store lies where nothing can be written, and nothing waits in its log.

    SQLite reads a store with a log only where it can write beside it, unless it is told so.
    """
    log = file.with_name(f"{file.name}-wal")
    waits = log.exists() and log.stat().st_size > 0
    return not waits and file.is_file() and not os.access(file.parent, os.W_OK)


def _postgres(url: str, name: str, *, writes: bool) -> sa.Engine:
    if find_spec("psycopg") is None:
        raise SettingsError('database: PostgreSQL needs psycopg: pip install "fabricbo[postgres]"')
    engine = sa.create_engine(
        url,
        json_serializer=_strict_json,
        pool_pre_ping=True,
        # A machine that is gone says nothing: without these a call would wait for many minutes.
        connect_args={"connect_timeout": 10, "tcp_user_timeout": 20_000},
        **({} if writes else {"isolation_level": "AUTOCOMMIT"}),
    )

    @sa.event.listens_for(engine, "connect", insert=True)
    def _configure(connection: Any, _record: Any) -> None:
        before, connection.autocommit = connection.autocommit, True
        quoted = name.replace('"', '""')
        with connection.cursor() as cursor:
            cursor.execute(f'SET SESSION search_path TO "{quoted}"')
            cursor.execute("SET SESSION TIME ZONE 'UTC'")
            cursor.execute("SET SESSION synchronous_commit TO on")
            cursor.execute(f"SET SESSION lock_timeout TO '{_LOCK_SECONDS}s'")
        connection.autocommit = before

    if writes:
        take_turn = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.execute(take_turn, {"name": f"fabricbo writes {name}"})

    return engine


def _strict_json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def check_version(engine: sa.Engine, reader: sa.Engine, location: Location) -> None:
    """Bring a store of an earlier version up to date.

    Raises:
        NotAStudyError: there is no store there.
        NewerStoreError: written by a newer version.
        MigrationError: it cannot be brought up to date, and is as it was.
        DatabaseGoneError: the database does not answer.
    """
    version = _version(reader, location)
    if version > schema.SCHEMA_VERSION:
        raise NewerStoreError(
            f"{location} was written by a newer fabricbo (schema {version}; this one reads up to "
            f"{schema.SCHEMA_VERSION}): update fabricbo to open it"
        )
    if version < schema.SCHEMA_VERSION:
        from fabricbo.study.migrations.running import migrate  # Alembic takes a while to load

        patiently(location, lambda: migrate(engine, location))


def _version(reader: sa.Engine, location: Location) -> int:
    try:
        with reader.connect() as connection:
            found = connection.execute(sa.select(schema.study.c.schema_version)).scalar_one()
    except sa.exc.OperationalError as error:
        if location.database is not None:
            raise DatabaseGoneError(f"{location}: {error.orig}") from error
        raise NotAStudyError(f"{location} is no store of a study: {error}") from error
    except (sa.exc.DatabaseError, sa.exc.NoResultFound) as error:
        raise NotAStudyError(f"{location} is no store of a study: {error}") from error
    return int(found)
