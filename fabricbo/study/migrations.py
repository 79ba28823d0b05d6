"""Bringing the store of an earlier version up to date."""

import json
from typing import Any

import sqlalchemy as sa

from fabricbo.assessment import Advice, Assessment, Estimate
from fabricbo.study import schema
from fabricbo.study.errors import NotAStudyError

_NEW_KEYS = {3: ("label", "reference_point"), 4: ("parts", "weight")}
"""What settings know by name since a version; before, it was an option of the objective's own."""
_ADDED_COLUMNS = (("study", "further"), ("trials", "further"))


def migrate(engine: sa.Engine) -> None:
    """Bring a store to `SCHEMA_VERSION`, in one transaction that takes the write lock first.

    Raises:
        NotAStudyError: an option of its objective has a name that means something else now.
    """
    with engine.begin() as connection:
        version = connection.execute(sa.select(schema.study.c.schema_version)).scalar_one()
        if version >= schema.SCHEMA_VERSION:  # another process has been here in the meantime
            return
        _check_options(connection, version)
        schema.metadata.create_all(connection)
        if version < 3:
            for table, column in _ADDED_COLUMNS:
                connection.exec_driver_sql(f'ALTER TABLE "{table}" ADD COLUMN "{column}" JSON')
        if version == 2:
            _gather_assessment(connection)
        if version < 4:
            _name_heldout(connection)
        _begin_events(connection)
        connection.execute(schema.study.update().values(schema_version=schema.SCHEMA_VERSION))


def _begin_events(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0")
    connection.exec_driver_sql("UPDATE trials SET status='proposed' WHERE status='pending'")
    connection.exec_driver_sql("UPDATE trials SET status='awaiting-rating' WHERE status='drawn'")
    connection.exec_driver_sql(
        "INSERT INTO trial_events (trial, attempt, status, reason, key, created) "
        'SELECT "index", 0, status, reason, \'schema 7, trial \' || "index", created FROM trials'
    )


def _check_options(connection: sa.Connection, version: int) -> None:
    """Refuse what would be read as something else: scores of other measures, or no scores."""
    settings = connection.execute(sa.select(schema.study.c.settings)).scalar_one()
    given = settings.get("objective") or ()
    taken = [key for since, keys in _NEW_KEYS.items() if version < since for key in keys]
    for one in [given] if isinstance(given, dict) else given:
        for key in taken:
            if key in one:
                raise NotAStudyError(
                    f"the study {settings['name']!r} was made by an earlier version of fabricbo, "
                    f"and its objective has an option {key!r}, which means something else now; "
                    "open it with the version that made it"
                )


def _gather_assessment(connection: sa.Connection) -> None:
    """Put what version 2 kept in two tables into the one that holds it now."""
    estimates = connection.exec_driver_sql('SELECT * FROM "estimates"').mappings().all()
    advice = connection.exec_driver_sql('SELECT * FROM "advice"').mappings().one_or_none()
    if estimates:
        found = Assessment(
            estimates={row["trial"]: (_estimate(row),) for row in estimates},
            advice=None if advice is None else Advice(**advice),
        )
        row = {"preferences": 0, "data": found.to_json()}
        connection.execute(schema.assessment.insert(), row)
    for table in ("estimates", "advice"):
        connection.exec_driver_sql(f'DROP TABLE "{table}"')


def _name_heldout(connection: sa.Connection) -> None:
    """Put held-out values under the names of what scored; before version 4 they had an order."""
    about = connection.exec_driver_sql('SELECT * FROM "study"').mappings().one()
    further = json.loads(about["further"] or "null") or ()
    names = [about["objective"], *(measure["name"] for measure in further)]
    rows = connection.exec_driver_sql('SELECT * FROM "heldout"').mappings().all()
    connection.exec_driver_sql('DROP TABLE "heldout"')
    schema.metadata.create_all(connection)
    for row in rows:
        others = json.loads(row.get("further") or "null") or ()
        values = dict(zip(names, [json.loads(row["values"]), *others], strict=True))
        kept = {key: json.loads(row[key]) for key in ("seeds", "images")}
        data = {"trial": row["trial"], "values": values, "reporters": [], **kept}
        connection.execute(schema.heldout.insert(), data)


def _estimate(row: Any) -> Estimate:
    return Estimate(row["mean"], row["standard_error"])
