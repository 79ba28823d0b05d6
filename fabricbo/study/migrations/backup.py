"""A store as it was before it was brought up to date, in a file of its own.

The transaction protects against a migration that fails; this against one that is wrong.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fabricbo.study.copying import copy_pages
from fabricbo.study.durable import sync_folder
from fabricbo.study.errors import MigrationError
from fabricbo.study.location import STORE_NAME, Location

_AT_ONCE = 500


def backups(folder: Path) -> list[Path]:
    """Return the stores that a study's folder keeps from before migrations, the oldest first."""
    found = folder.glob(f"{STORE_NAME}.before-*")
    return sorted((f for f in found if f.suffix != ".part"), key=lambda file: file.stat().st_mtime)


def keep(connection: sa.Connection, location: Location, version: int) -> Path:
    """Write the store as it is to a SQLite file in the study's folder, whole and synced.

    What is there of an earlier migration stays: the file gets a number of its own then.

    Args:
        connection: holds the write lock, and has changed nothing yet.
        location: where the store is.
        version: the schema that it is going to have.

    Raises:
        MigrationError: it cannot be written.
    """
    path = _free(location.folder / f"{STORE_NAME}.before-{version}")
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # of a process that was killed
        if location.database is None:
            copy_pages(location.file, part)  # nobody else can write while we hold the lock
        else:
            _copy_rows(connection, part)
        _sync(part)
        part.rename(path)
        sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise MigrationError(_no_copy(location, path, error)) from error
    except sa.exc.OperationalError as error:
        if error.connection_invalidated:  # the database is gone, that is another matter
            raise
        raise MigrationError(_no_copy(location, path, error.orig)) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _no_copy(location: Location, path: Path, error: object) -> str:
    return (
        f"{location} was written by an earlier fabricbo, and before it is brought up to date it "
        f"is copied to {path}, which cannot be done: {error}. Nothing was changed; make room, "
        "or have the folder be one that can be written to"
    )


def _free(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _copy_rows(connection: sa.Connection, target: Path) -> None:
    """Copy all tables that are there, whatever version made them: a store of that version."""
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        for column in table.columns:
            column.server_default = None  # PostgreSQL's own way to number rows
            column.type = _anywhere(column.type)
    engine = sa.create_engine(f"sqlite:///{target}")
    try:
        with engine.begin() as copy:
            found.create_all(copy)
            for table in found.sorted_tables:
                ordered = sa.select(table).order_by(*table.primary_key.columns)
                for rows in connection.execute(ordered).mappings().partitions(_AT_ONCE):
                    copy.execute(table.insert(), [dict(row) for row in rows])
    finally:
        engine.dispose()


def _anywhere(kind: "sa.types.TypeEngine[Any]") -> "sa.types.TypeEngine[Any]":
    """Return what a type of PostgreSQL is called in all databases."""
    if isinstance(kind, sa.JSON):
        return sa.JSON(none_as_null=True)
    return sa.Float() if isinstance(kind, sa.Float) else kind.as_generic()


def _sync(file: Path) -> None:
    with file.open("r+b") as stream:
        os.fsync(stream.fileno())
