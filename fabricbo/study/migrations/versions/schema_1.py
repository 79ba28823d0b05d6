"""Settings, references, rounds, trials, what was held out."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables; no store needs this, but it says what the others change."""
    op.create_table(
        "study",
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("objective", sa.String, nullable=False),
        sa.Column("direction", sa.String, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "references",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("hand_role", sa.String, nullable=False),
    )
    op.create_table(
        "rounds",
        sa.Column("index", sa.Integer, primary_key=True),
        sa.Column("seeds", sa.JSON, nullable=False),
        sa.Column("pool", sa.JSON, nullable=False),
    )
    op.create_table(
        "trials",
        sa.Column("index", sa.Integer, primary_key=True),
        sa.Column("round", sa.Integer, sa.ForeignKey("rounds.index"), nullable=False),
        sa.Column("action", sa.JSON, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("values", sa.JSON),
        sa.Column("images", sa.JSON),
        sa.Column("reason", sa.String),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Float),
    )
    op.create_table(
        "heldout",
        sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), primary_key=True),
        sa.Column("seeds", sa.JSON, nullable=False),
        sa.Column("values", sa.JSON, nullable=False),
        sa.Column("images", sa.JSON, nullable=False),
    )
