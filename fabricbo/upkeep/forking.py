"""A new study that goes on from a round of another one, which stays as it is.

It takes over what the other knew at the end of that round: rounds, trials and their images, and
what people said about these trials, whenever they said it. What was made of all trials, and what
was held out, is about the other study and is left there.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fabricbo.proposers import ProposerError, check_proposer, check_task
from fabricbo.study import (
    NameInUseError,
    SettingsError,
    Study,
    StudyError,
    StudySettings,
    check_settings,
    schema,
)
from fabricbo.study.copying import Choose, Row, copy_chosen
from fabricbo.study.database import Database, creating
from fabricbo.study.forked_from import ForkedFrom
from fabricbo.study.images import images_of
from fabricbo.study.location import Location, is_study
from fabricbo.study.measures import people_decide
from fabricbo.upkeep.uses import uses_in

_LEFT = (schema.assessment, schema.heldout, schema.rating_state)


class ForkError(StudyError):
    """A study cannot go on from there."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is not as in the other study; None where it is.

    Nothing else may change: scores, actions and judgements of the rounds that are taken over would
    mean something else.
    """

    rounds: int | None = None
    """How many are planned, those that are taken over among them."""
    trials: int | None = None
    """A round, from now on."""
    seed: int | None = None
    """Of the rounds that follow; the same one goes the same way."""
    proposer: str | None = None
    """Who picks the actions from now on."""
    database: str | None = None
    """URL of the database for the rows, or `file`: a file in the study's folder."""

    def of(self, settings: StudySettings, place: Mapping[str, str]) -> StudySettings:
        """Return settings with what is said here, for a study of that name in that storage.

        Raises:
            SettingsError: a value is not allowed.
        """
        said = {name: value for name, value in asdict(self).items() if value is not None}
        if self.database == "file":
            said["database"] = None
        return check_settings({**settings.model_dump(mode="json"), **place, **said})


def fork(
    folder: Path,
    name: str,
    *,
    storage: Path | None = None,
    until: int | None = None,
    changes: Changes | None = None,
) -> Study:
    """Make a study that goes on from a round of another; it is there when it is whole.

    The other one may be drawn for meanwhile.

    Args:
        folder: of the other study.
        name: of the new one.
        storage: folder that the new one is kept in; None: where the other one is.
        until: the last round that is taken over; None: the last complete one.
        changes: what is not as in the other study.

    Returns:
        The new study, open for reading.

    Raises:
        ForkError: there is no such round, it is not complete, no round would be left to do, or
            an image is missing.
        NameInUseError: there is such a study already.
        SettingsError: a setting is not allowed, or the proposer cannot do what is asked for.
    """
    study = Study.open(folder)
    try:
        until = _checked(study, until)
        place = {"name": name, "storage": str(storage or folder.parent)}
        settings = (changes or Changes()).of(study.settings, place)
        if changes is not None and changes.proposer is not None:
            _check_proposer(study, changes.proposer)
    finally:
        study.close()
    if is_study(settings.folder):
        raise NameInUseError(f"there is a study in {settings.folder} already; choose another name")
    if settings.rounds <= until:
        raise ForkError(
            f"round {until} is taken over and {settings.rounds} are planned, so that nothing would "
            f"be left to do; have more than {until} rounds, or go on from an earlier one"
        )
    origin = ForkedFrom(study.settings.name, until, _before(study.settings, settings))
    _copy(study, Location.new(settings.folder, settings.database), settings, origin)
    return Study.open(settings.folder)


def _checked(study: Study, until: int | None) -> int:
    """Return the round that is gone on from."""
    opened, complete = len(study.rounds), study.complete_rounds
    if until is None and not complete:
        raise ForkError(
            f"no round of the study in {study.folder} is complete yet; complete one first: "
            f"`fabricbo resume {study.folder}`"
        )
    if until is None:
        return complete
    if not 1 <= until <= opened:
        there = "round 1" if opened == 1 else f"rounds 1 to {opened}"
        raise ForkError(f"the study in {study.folder} has {there}, there is no round {until}")
    if until > complete:
        raise ForkError(
            f"round {until} of the study in {study.folder} is not complete: its trials, or those "
            "of a round before, are not all done; "
            + (f"round {complete} is the last that is" if complete else "no round is")
        )
    return until


def _check_proposer(study: Study, name: str) -> None:
    """Check that another proposer is there, and takes what this study goes by."""
    scored = () if people_decide(study.measures) else study.measures
    try:
        check_proposer(name)
        check_task(name, scored, judged=study.settings.rating is not None)
    except ProposerError as error:
        raise SettingsError(f"proposer: {error}") from None


def _before(old: StudySettings, new: StudySettings) -> dict[str, Any]:
    """Return those settings that explain what was drawn, where they are others now."""
    names = ("trials", "seed", "proposer")
    return {n: getattr(old, n) for n in names if getattr(old, n) != getattr(new, n)}


def _copy(study: Study, target: Location, settings: StudySettings, origin: ForkedFrom) -> None:
    """Copy rows and images; the rows are there at last, and all at once."""
    told = {"settings": settings.model_dump(mode="json"), "forked": origin.to_json()}
    about = {**told, "created": datetime.now(UTC)}
    database = Database(Location.of(study.folder))
    try:
        with creating(target) as new:

            def work(old: sa.Connection) -> None:
                copy_chosen(old, new, _choice(old, origin.round, about))

            database.read(work)
            images = dict.fromkeys(use.image for use in uses_in(new))
            _copy_images(study, settings, images)
    finally:
        database.close()


def _copy_images(study: Study, settings: StudySettings, images: Mapping[str, None]) -> None:
    """Check that all are whole, and copy their files unless both studies keep them in one place."""
    target = images_of(settings.folder, settings.images_at)
    for image in images:
        try:
            study.images.load(image)
            if settings.images_at is None:
                target.put(image, study.images.read(image))
        except (FileNotFoundError, ValueError) as error:
            raise ForkError(
                f"{error}; `fabricbo doctor --mend {study.folder}` may put it back"
            ) from error


def _choice(old: sa.Connection, until: int, about: Row) -> Choose:
    """Say what rows are about rounds until this one; what refers to others is left out anyway."""
    rounds = old.execute(sa.select(schema.rounds)).mappings()
    references = {image for row in rounds if row["index"] <= until for image in row["pool"]}
    for row in old.execute(sa.select(schema.earlier)).mappings():
        references |= {*row["action"]["liked"], *row["action"]["disliked"]}
    mine = sa.select(schema.trials).where(schema.trials.c.round <= until)
    drawn = {row["index"]: row["images"] or () for row in old.execute(mine).mappings()}
    images = references.union(*drawn.values())
    # What no foreign key says.
    belongs: dict[sa.Table, Callable[[Row], bool]] = {
        schema.rounds: lambda row: row["index"] <= until,
        schema.references: lambda row: row["id"] in references,
        schema.questions: lambda row: all(t is None or t in drawn for _, t in row["options"]),
        schema.wishes: lambda row: row["image"] in images,
        **dict.fromkeys(_LEFT, lambda _row: False),
    }

    def choose(table: sa.Table, row: Row) -> Row | None:
        if table is schema.study:
            return {**row, **about}
        return row if table not in belongs or belongs[table](row) else None

    return choose
