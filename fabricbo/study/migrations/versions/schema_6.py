"""What trials were drawn with."""

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Add `drawn_with`."""
    op.create_table(
        "drawn_with",
        sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), primary_key=True),
        sa.Column("environment", sa.JSON, nullable=False),
    )
