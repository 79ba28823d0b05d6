"""The file of a store: SQLite, write-ahead log, full sync; checked and brought up to date."""

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fabricbo.study import schema
from fabricbo.study.errors import NewerStoreError, NotAStudyError
from fabricbo.study.migrations import migrate


def connect(file: Path, *, writes: bool = True) -> sa.Engine:
    """Return an engine whose transactions take the write lock at their start.

    Args:
        file: the store.
        writes: False for one whose statements each see what is there, and wait for nobody.
    """
    # What only reads has no transaction that would have to be taken back.
    on_return = "rollback" if writes else None
    engine = sa.create_engine(
        f"sqlite:///{file}", json_serializer=_strict_json, pool_reset_on_return=on_return
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, see below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA cache_size=-512")  # KiB each, and a server has many

    if writes:

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _strict_json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def check_version(engine: sa.Engine, file: Path) -> None:
    """Bring a store of an earlier version up to date.

    Raises:
        NotAStudyError: the file is no store.
        NewerStoreError: written by a newer version.
    """
    try:
        with engine.connect() as connection:
            version = connection.execute(sa.select(schema.study.c.schema_version)).scalar_one()
    except (sa.exc.DatabaseError, sa.exc.NoResultFound) as error:
        raise NotAStudyError(f"{file} is no store of a study: {error}") from error
    if version > schema.SCHEMA_VERSION:
        raise NewerStoreError(
            f"{file} was written by a newer fabricbo (schema {version}; this one reads up to "
            f"{schema.SCHEMA_VERSION}): update fabricbo to open it"
        )
    if version < schema.SCHEMA_VERSION:
        migrate(engine)
