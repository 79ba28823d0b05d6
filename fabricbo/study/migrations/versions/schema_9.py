"""What samplers counted while they drew."""

import sqlalchemy as sa
from alembic import op

revision = "9"
down_revision = "8"


def upgrade() -> None:
    """Add `trial_events.counts`."""
    op.add_column("trial_events", sa.Column("counts", sa.JSON))
