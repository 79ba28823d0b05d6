"""The tables of a study's store."""

import sqlalchemy as sa

SCHEMA_VERSION = 9
"""What changed with each is in `migrations/versions`; how to add one, in CONTRIBUTING.md."""

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
    sa.Column("forked", sa.JSON),
)
"""`schema_version` is the only truth about what a store is, and read by versions that do not know
the other columns. `forked`: the study that it goes on from, see `ForkedFrom`."""
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
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("values", sa.JSON),
    sa.Column("further", sa.JSON),
    sa.Column("images", sa.JSON),
    sa.Column("reason", sa.String),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("seconds", sa.Float),
)
trial_events = sa.Table(
    "trial_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("worker", sa.String),
    sa.Column("reason", sa.String),
    sa.Column("counts", sa.JSON(none_as_null=True)),
    sa.Column("key", sa.String, nullable=False, unique=True),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
"""What became of trials, append-only: `trials.status` repeats the last one. A change that was
stored and not acknowledged is known by its `key` when it is sent again."""
drawn_with = sa.Table(
    "drawn_with",
    metadata,
    sa.Column("trial", sa.Integer, sa.ForeignKey("trials.index"), primary_key=True),
    sa.Column("environment", sa.JSON, nullable=False),
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
raters = sa.Table(
    "raters",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("token_hash", sa.String, nullable=False, unique=True),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
exclusions = sa.Table(
    "exclusions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rater", sa.Integer, sa.ForeignKey("raters.id"), nullable=False),
    sa.Column("excluded", sa.Boolean, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
questions = sa.Table(
    "questions",
    metadata,
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
    sa.Index("questions_by_answers", "withdrawn", "answered", "id"),
)
"""`answered` counts the answers that stand, so that choosing what to ask next reads no history."""
tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("question", sa.Integer, sa.ForeignKey("questions.id"), nullable=False),
    sa.Column("rater", sa.Integer, sa.ForeignKey("raters.id"), nullable=False),
    sa.Column("order", sa.JSON, nullable=False),
    sa.Column("answer", sa.String),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("question", "rater"),
    sa.Index("tasks_by_rater", "rater", "answer"),
)
"""`answer` repeats the last vote, so that choosing what to ask next reads no history."""
votes = sa.Table(
    "votes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("task", sa.String, sa.ForeignKey("tasks.id"), nullable=False, index=True),
    sa.Column("key", sa.String, nullable=False, unique=True),
    sa.Column("answer", sa.String, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
wishes = sa.Table(
    "wishes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("image", sa.String, nullable=False),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
"""Images that the owner wants in the pool; the last row of an image counts, `unused` takes back."""
rating_state = sa.Table(
    "rating_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)
"""Events: `open`, `paused` or `stopped`; the last one counts."""
