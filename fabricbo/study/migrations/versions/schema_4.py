"""Held-out values by the name of what scored."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from fabricbo.study.migrations.options import refuse_options

revision = "4"
down_revision = "3"

_COLUMNS = ("seeds", "values", "further", "images")
_BEFORE = sa.table("heldout", sa.column("trial"), *(sa.column(n, sa.JSON) for n in _COLUMNS))
_STUDY = sa.table("study", sa.column("objective"), sa.column("further", sa.JSON))


def upgrade() -> None:
    """Name them; before, they had the order of the measures."""
    refuse_options("parts", "weight")
    rows = _named(op.get_bind())
    op.drop_table("heldout")
    heldout = op.create_table(
        "heldout",
        sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), primary_key=True),
        sa.Column("seeds", sa.JSON, nullable=False),
        sa.Column("values", sa.JSON, nullable=False),
        sa.Column("reporters", sa.JSON, nullable=False),
        sa.Column("images", sa.JSON, nullable=False),
    )
    op.bulk_insert(heldout, rows)


def _named(connection: sa.Connection) -> list[dict[str, Any]]:
    rows = connection.execute(sa.select(_BEFORE)).mappings().all()
    about = connection.execute(sa.select(_STUDY)).mappings().one_or_none()
    further = about["further"] or () if about else ()
    names = [about["objective"] if about else "", *(measure["name"] for measure in further)]
    return [
        {
            **{key: row[key] for key in ("trial", "seeds", "images")},
            "values": dict(zip(names, [row["values"], *(row["further"] or ())], strict=True)),
            "reporters": [],
        }
        for row in rows
    ]
