"""Several measures, preferences, earlier trials; all that a surrogate says in one place."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from fabricbo.study.migrations.options import refuse_options

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Add them, and put `estimates` and `advice` into `assessment`."""
    refuse_options("label", "reference_point")
    for table in ("study", "trials", "heldout"):
        op.add_column(table, sa.Column("further", sa.JSON))
    op.create_table(
        "preferences",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("better", sa.Integer, sa.ForeignKey("trials.index"), nullable=False),
        sa.Column("worse", sa.Integer, sa.ForeignKey("trials.index"), nullable=False),
        sa.Column("tie", sa.Boolean, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "earlier",
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("action", sa.JSON, nullable=False),
        sa.Column("scores", sa.JSON, nullable=False),
    )
    assessment = op.create_table(
        "assessment",
        sa.Column("preferences", sa.Integer, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    found = _assessment(op.get_bind())
    if found["estimates"]:
        op.bulk_insert(assessment, [{"preferences": 0, "data": found}])
    op.drop_table("estimates")
    op.drop_table("advice")


def _assessment(connection: sa.Connection) -> dict[str, Any]:
    estimates = sa.table("estimates", *map(sa.column, ("trial", "mean", "standard_error")))
    advice = sa.table("advice", *map(sa.column, ("probability", "tolerance", "expected_gain")))
    rows = connection.execute(sa.select(estimates)).mappings().all()
    said = connection.execute(sa.select(advice)).mappings().one_or_none()
    return {
        "estimates": {
            str(row["trial"]): [{"mean": row["mean"], "standard_error": row["standard_error"]}]
            for row in rows
        },
        "advice": None if said is None else dict(said),
        "effects": [],
        "slices": [],
    }
