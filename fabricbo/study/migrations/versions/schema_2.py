"""What trials are expected to score, and whether to go on."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add `estimates` and `advice`."""
    op.create_table(
        "estimates",
        sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), primary_key=True),
        sa.Column("mean", sa.Float, nullable=False),
        sa.Column("standard_error", sa.Float, nullable=False),
    )
    op.create_table(
        "advice",
        sa.Column("probability", sa.Float, nullable=False),
        sa.Column("tolerance", sa.Float, nullable=False),
        sa.Column("expected_gain", sa.Float, nullable=False),
    )
