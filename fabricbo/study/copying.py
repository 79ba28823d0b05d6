"""Copying all rows of a study to another place, between SQLite and PostgreSQL too."""

import sqlite3
from contextlib import closing

import sqlalchemy as sa

from fabricbo.study import schema
from fabricbo.study.database import Database, creating
from fabricbo.study.location import Location

_AT_ONCE = 500


def copy_rows(source: Location, target: Location) -> None:
    """Copy a study's rows; the copy is of one moment, and is there when it is whole.

    Raises:
        NameInUseError: the target's database has a study of that name.
        NotAStudyError: there is no study at the source.
    """
    if source.database is None and target.database is None:
        _copy_file(source, target)
        return
    database = Database(source)
    try:
        with creating(target) as connection:
            database.read(lambda rows: _copy(rows, connection))
    finally:
        database.close()


def _copy_file(source: Location, target: Location) -> None:
    """Have SQLite copy its pages: that is exact, whatever version wrote them."""
    known, copy = sqlite3.connect(source.file), sqlite3.connect(target.file)
    with closing(known), closing(copy):
        known.backup(copy)


def _copy(source: sa.Connection, target: sa.Connection) -> None:
    for table in schema.metadata.sorted_tables:
        ordered = sa.select(table).order_by(*table.primary_key.columns)
        for rows in source.execute(ordered).mappings().partitions(_AT_ONCE):
            target.execute(table.insert(), [dict(row) for row in rows])
        if target.dialect.name == "postgresql":
            _count_on(target, table)


def _count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Have PostgreSQL number new rows after those that came with a number."""
    for column in table.primary_key.columns:
        if isinstance(column.type, sa.Integer) and not column.foreign_keys:
            highest = sa.select(sa.func.max(column)).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(f'"{table.name}"', column.name)
            known = sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None))
            connection.execute(known)
