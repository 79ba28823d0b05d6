"""Which study a study goes on from."""

import sqlalchemy as sa
from alembic import op

revision = "8"
down_revision = "7"


def upgrade() -> None:
    """Add `study.forked`; `trials.attempt` loses the default that 7 gave it on its way here."""
    op.add_column("study", sa.Column("forked", sa.JSON))
    with op.batch_alter_table("trials") as trials:
        trials.alter_column("attempt", server_default=None)
