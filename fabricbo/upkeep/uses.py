"""Which images a study's store speaks of, and what for; read without loading any."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from fabricbo.study import schema
from fabricbo.study.database import Database
from fabricbo.study.location import Location

Kind = Literal["reference", "trial", "held out", "question"]


@dataclass(frozen=True, slots=True)
class Use:
    """What an image is needed for."""

    image: str
    """Its identity."""
    kind: Kind
    number: int
    """Of the trial or question; the position of a reference."""

    @property
    def text(self) -> str:
        """What it is needed for, in words."""
        if self.kind == "held out":
            return f"trial {self.number}, held out"
        return f"{self.kind} {self.number}"


def image_uses(location: Location) -> list[Use]:
    """Return what each image is needed for, references first.

    Raises:
        NotAStudyError: there is no store.
        NewerStoreError: written by a newer version.
        sqlalchemy.exc.DatabaseError: it is damaged.
    """
    database = Database(location)
    try:
        return database.read(lambda connection: list(dict.fromkeys(uses_in(connection))))
    finally:
        database.close()


def uses_in(connection: sa.Connection) -> Iterator[Use]:
    """Say what each image is needed for, where somebody has a connection."""
    references, trials = schema.references, schema.trials
    for row in connection.execute(sa.select(references).order_by(references.c.position)).mappings():
        yield Use(row["id"], "reference", row["position"])
    for row in connection.execute(sa.select(trials).order_by(trials.c.index)).mappings():
        yield from (Use(image, "trial", row["index"]) for image in row["images"] or ())
    for row in connection.execute(sa.select(schema.heldout)).mappings():
        yield from (Use(image, "held out", row["trial"]) for image in row["images"])
    for row in connection.execute(sa.select(schema.questions)).mappings():
        # Others belong to trials; those of none are the owner's gold checks.
        own = (image for image, trial in row["options"] if trial is None)
        yield from (Use(image, "question", row["id"]) for image in own)
