"""Copying rows of a study to another place, between SQLite and PostgreSQL too."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fabricbo.study import schema
from fabricbo.study.database import Database, creating
from fabricbo.study.location import Location

Row = Mapping[str, Any]
Choose = Callable[[sa.Table, Row], Row | None]
"""Returns a row as it is to be in the copy; None for one that is left out."""
_AT_ONCE = 500


def copy_rows(source: Location, target: Location) -> None:
    """Copy a study's rows; the copy is of one moment, and is there when it is whole.

    Raises:
        NameInUseError: the target's database has a study of that name.
        NotAStudyError: there is no study at the source.
    """
    if source.database is None and target.database is None:
        copy_pages(source.file, target.file)
        return
    database = Database(source)
    try:
        with creating(target) as connection:
            database.read(lambda rows: copy_chosen(rows, connection, lambda _table, row: row))
    finally:
        database.close()


def copy_pages(source: Path, target: Path) -> None:
    """Have SQLite copy its pages: that is exact, whatever version wrote them."""
    known, copy = sqlite3.connect(source), sqlite3.connect(target)
    with closing(known), closing(copy):
        known.backup(copy)


def copy_chosen(source: sa.Connection, target: sa.Connection, choose: Choose) -> None:
    """Copy the rows that are chosen, but for those that refer to one that is not."""
    tables = schema.metadata.sorted_tables
    for table in reversed(tables):
        target.execute(table.delete())  # what was copied before a connection broke
    there: dict[sa.Column[Any], set[Any]] = {}
    for table in tables:
        ordered = sa.select(table).order_by(*table.primary_key.columns)
        for rows in source.execute(ordered).mappings().partitions(_AT_ONCE):
            copied = list(_chosen(table, rows, choose, there))
            if copied:
                target.execute(table.insert(), copied)
        if target.dialect.name == "postgresql":
            _count_on(target, table)


def _chosen(
    table: sa.Table, rows: Any, choose: Choose, there: dict[sa.Column[Any], set[Any]]
) -> Iterator[dict[str, Any]]:
    keys = {column: there.setdefault(column, set()) for column in table.primary_key.columns}
    refers = [(key.parent.name, there[key.column]) for key in table.foreign_keys]
    for row in rows:
        chosen = choose(table, row)
        if chosen is not None and all(row[name] is None or row[name] in at for name, at in refers):
            for column, known in keys.items():
                known.add(row[column.name])
            yield dict(chosen)


def _count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Have PostgreSQL number new rows after those that came with a number."""
    for column in table.primary_key.columns:
        if isinstance(column.type, sa.Integer) and not column.foreign_keys:
            highest = sa.select(sa.func.max(column)).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(f'"{table.name}"', column.name)
            known = sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None))
            connection.execute(known)
