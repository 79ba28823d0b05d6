"""Attempts at trials, and what became of them as events."""

import sqlalchemy as sa
from alembic import op

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Add both; a trial begins with one event, of what it is now."""
    begun = sa.Column("attempt", sa.Integer, nullable=False, server_default="0")
    op.add_column("trials", begun)
    op.create_table(
        "trial_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("worker", sa.String),
        sa.Column("reason", sa.String),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute("UPDATE trials SET status='proposed' WHERE status='pending'")
    op.execute("UPDATE trials SET status='awaiting-rating' WHERE status='drawn'")
    op.execute(
        "INSERT INTO trial_events (trial, attempt, status, reason, key, created) "
        'SELECT "index", 0, status, reason, \'schema 7, trial \' || "index", created FROM trials '
        'ORDER BY "index"'
    )
