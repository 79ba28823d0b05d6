"""The tables of a study's store."""

import sqlalchemy as sa

SCHEMA_VERSION = 4
"""2 added `estimates` and `advice`; 3 put them into `assessment`, and added what else is measured,
preferences and earlier trials; 4 keeps held-out values by name."""

metadata = sa.MetaData()
study = sa.Table(
    "study",
    metadata,
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("objective", sa.String, nullable=False),
    sa.Column("direction", sa.String, nullable=False),
    sa.Column("further", sa.JSON),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
references = sa.Table(
    "references",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False, unique=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("hand_role", sa.String, nullable=False),
)
rounds = sa.Table(
    "rounds",
    metadata,
    sa.Column("index", sa.Integer, primary_key=True),
    sa.Column("seeds", sa.JSON, nullable=False),
    sa.Column("pool", sa.JSON, nullable=False),
)
trials = sa.Table(
    "trials",
    metadata,
    sa.Column("index", sa.Integer, primary_key=True),
    sa.Column("round", sa.Integer, sa.ForeignKey("rounds.index"), nullable=False),
    sa.Column("action", sa.JSON, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("values", sa.JSON),
    sa.Column("further", sa.JSON),
    sa.Column("images", sa.JSON),
    sa.Column("reason", sa.String),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("seconds", sa.Float),
)
preferences = sa.Table(
    "preferences",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("better", sa.Integer, sa.ForeignKey("trials.index"), nullable=False),
    sa.Column("worse", sa.Integer, sa.ForeignKey("trials.index"), nullable=False),
    sa.Column("tie", sa.Boolean, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
earlier = sa.Table(
    "earlier",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("action", sa.JSON, nullable=False),
    sa.Column("scores", sa.JSON, nullable=False),
)
assessment = sa.Table(
    "assessment",
    metadata,
    sa.Column("preferences", sa.Integer, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
)
heldout = sa.Table(
    "heldout",
    metadata,
    sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), primary_key=True),
    sa.Column("seeds", sa.JSON, nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("reporters", sa.JSON, nullable=False),
    sa.Column("images", sa.JSON, nullable=False),
)
