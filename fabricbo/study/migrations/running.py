"""Running the revisions that a store has not met, all of them in one transaction."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory

from fabricbo.study import schema
from fabricbo.study.errors import MigrationError, StudyError
from fabricbo.study.location import Location
from fabricbo.study.migrations.backup import keep

REVISIONS = Path(__file__).parent
"""Folder that has them in `versions`."""
_one_at_a_time = threading.Lock()
"""What a revision's `alembic.op` works on is global."""
_study = sa.table("study", sa.column("schema_version", sa.Integer))

_log = logging.getLogger(__name__)


def migrate(engine: sa.Engine, location: Location) -> None:
    """Bring a store to `SCHEMA_VERSION`; as it was it is kept in a file in the study's folder.

    Args:
        engine: its transactions take the write lock at their start.
        location: where the store is.

    Raises:
        MigrationError: it cannot be done; the store is as it was.
        NotAStudyError: an option of its objective has a name that means something else now.
    """
    if location.database is None:
        _check_writable(location)
    with engine.connect() as connection, _unchecked(connection), connection.begin():
        version = connection.execute(sa.select(_study.c.schema_version)).scalar_one()
        if version >= schema.SCHEMA_VERSION:  # another process has been here in the meantime
            return
        revisions = _revisions(location, version)
        kept = keep(connection, location, schema.SCHEMA_VERSION)
        try:
            _run(connection, revisions)
        except BaseException as error:
            kept.unlink()
            if isinstance(error, StudyError) or not isinstance(error, Exception) or _gone(error):
                raise
            raise MigrationError(
                f"{location} was written by an earlier fabricbo (schema {version}) and cannot be "
                f"brought to schema {schema.SCHEMA_VERSION}: {error}. It is as it was"
            ) from error
    _log.warning(
        "%s was brought from schema %d to %d; as it was, it is kept in %s",
        *(location, version, schema.SCHEMA_VERSION, kept),
    )


def _check_writable(location: Location) -> None:
    for path in (location.folder, location.file):
        if not os.access(path, os.W_OK):
            raise MigrationError(
                f"{location} was written by an earlier fabricbo and has to be brought up to date, "
                f"but {path} may not be written to: copy the study to a folder of your own and "
                "open it there, or open it with the fabricbo that made it"
            )


@contextmanager
def _unchecked(connection: sa.Connection) -> Iterator[None]:
    """Have SQLite look at foreign keys at the end only.

    Until then tables that others refer to are rebuilt. It can be told so between transactions.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    sqlite = connection.connection.cursor()
    sqlite.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        sqlite.execute("PRAGMA foreign_keys=ON")
        sqlite.close()


def _revisions(location: Location, version: int) -> list[Script]:
    """Return what a store has not met, in order."""
    known = {script.revision: script for script in ScriptDirectory(REVISIONS).walk_revisions()}
    if str(version) not in known:
        raise MigrationError(f"{location} says that it is of schema {version}, which never was")
    return [known[str(v)] for v in range(version + 1, schema.SCHEMA_VERSION + 1)]


def _run(connection: sa.Connection, revisions: list[Script]) -> None:
    context = MigrationContext.configure(connection)
    with _one_at_a_time, Operations.context(context):
        for revision in revisions:
            revision.module.upgrade()
            connection.execute(_study.update().values(schema_version=int(revision.revision)))
    if connection.dialect.name == "sqlite":
        torn = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if torn:
            table, row, target, _ = torn[0]
            raise MigrationError(f"row {row} of {table} refers to {target} that is not there")


def _gone(error: BaseException) -> bool:
    return isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
