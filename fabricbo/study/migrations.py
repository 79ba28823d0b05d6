"""Bringing the store of an earlier version up to date."""

from typing import Any

import sqlalchemy as sa

from fabricbo.assessment import Advice, Assessment, Estimate
from fabricbo.study import schema

_ADDED_COLUMNS = (("study", "further"), ("trials", "further"), ("heldout", "further"))


def migrate(engine: sa.Engine, version: int) -> None:
    """Bring a store to `SCHEMA_VERSION`, in one transaction."""
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        if version < 3:
            for table, column in _ADDED_COLUMNS:
                connection.exec_driver_sql(f'ALTER TABLE "{table}" ADD COLUMN "{column}" JSON')
        if version == 2:
            _gather_assessment(connection)
        connection.execute(schema.study.update().values(schema_version=schema.SCHEMA_VERSION))


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


def _estimate(row: Any) -> Estimate:
    return Estimate(row["mean"], row["standard_error"])
