"""Raters, what they are asked, what they answer."""

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Add the tables of people."""
    _people()
    _questions()
    op.create_table(
        "wishes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "rating_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )


def _people() -> None:
    op.create_table(
        "raters",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("token_hash", sa.String, nullable=False, unique=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "exclusions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rater", sa.Integer, sa.ForeignKey("raters.id"), nullable=False),
        sa.Column("excluded", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )


def _questions() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("repeat_of", sa.Integer, sa.ForeignKey("questions.id")),
        sa.Column("only_for", sa.Integer, sa.ForeignKey("raters.id")),
        sa.Column("expected", sa.Integer),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.Column("answered", sa.Integer, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("questions_by_answers", "questions", ["withdrawn", "answered", "id"])
    op.create_table(
        "tasks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("question", sa.Integer, sa.ForeignKey("questions.id"), nullable=False),
        sa.Column("rater", sa.Integer, sa.ForeignKey("raters.id"), nullable=False),
        sa.Column("order", sa.JSON, nullable=False),
        sa.Column("answer", sa.String),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("question", "rater"),
    )
    op.create_index("tasks_by_rater", "tasks", ["rater", "answer"])
    op.create_table(
        "votes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("task", sa.String, sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("answer", sa.String, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_votes_task", "votes", ["task"])
