"""What a study is besides its trials and ballots: settings, rounds, references, what was held out.

The store is the truth about a study. Every change is one transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from fabricbo.assessment import Assessment
from fabricbo.records import Action, Reference, Role, Round, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score
from fabricbo.study import schema
from fabricbo.study.database import Database, creating
from fabricbo.study.errors import NotAStudyError
from fabricbo.study.forked_from import ForkedFrom
from fabricbo.study.heldout import HeldoutRow, Reporter
from fabricbo.study.images import images_of
from fabricbo.study.location import Location
from fabricbo.study.settings import StudySettings
from fabricbo.study.trial_rows import TrialRows

_NEWEST_ROUND = sa.select(sa.func.max(schema.rounds.c.index))


class Store:
    """The rows of one study."""

    def __init__(self, database: Database) -> None:
        """Read what the study is.

        Raises:
            NotAStudyError: the store does not say.
        """
        self._database = database
        self._cache: dict[str, Reference] = {}
        # What never changes once it is there is read once.
        self._rounds: list[Round] = []
        self._preferences: tuple[int, list[Preference]] = (0, [])
        self._earlier: list[Trial] | None = None
        with database.reading() as connection:
            about = connection.execute(sa.select(schema.study)).mappings().one()
        try:
            self.settings: StudySettings = StudySettings.model_validate(about["settings"])
            """What the study was made with; they never change."""
        except ValidationError as error:
            raise NotAStudyError(
                f"{database.location}: its settings are damaged, go back to a copy: {error}"
            ) from None
        self.created: datetime = about["created"].replace(tzinfo=UTC)  # SQLite keeps no zone
        """When the study was made."""
        self.images = images_of(database.location.folder, self.settings.images_at)
        """Where its images are; nothing is reached for yet."""
        forked = about["forked"]
        self.forked_from = None if forked is None else ForkedFrom.from_json(forked)
        """The study that it goes on from."""
        self.measures = _measures(about, self.settings)
        """What is measured, the first objective first."""
        self.trials = TrialRows(
            database,
            self._references_with,
            self.measures,
            self.settings,
        )

    @classmethod
    def create(cls, location: Location, settings: StudySettings, begin: "Beginning") -> None:
        """Write a new store with its first round; it appears when it is whole.

        Raises:
            NameInUseError: its database has a study of that name.
        """
        first, *further = begin.measures
        row = {
            "schema_version": schema.SCHEMA_VERSION,
            "settings": settings.model_dump(mode="json"),
            "objective": first.name,
            "direction": first.direction,
            "further": [asdict(measure) for measure in further],
            "created": datetime.now(UTC),
        }
        with creating(location) as connection:
            connection.execute(schema.study.insert(), row)
            _insert_round(connection, begin.first)
            _insert_earlier(connection, begin.earlier)

    def open_round(self, opened: Round) -> None:
        """Add a round, and those references of its pool that are new."""

        def work(connection: sa.Connection) -> None:
            known = sa.select(schema.rounds.c.index).where(schema.rounds.c.index == opened.index)
            if connection.scalar(known) is None:  # else it has arrived before
                _insert_round(connection, opened)

        self._database.write(work)

    def rounds(self) -> list[Round]:
        """Return all rounds in order."""
        with self._database.reading() as connection:
            newest = connection.scalar(_NEWEST_ROUND)
        if not self._rounds or self._rounds[-1].index != newest:
            self._rounds = self._read_rounds()
        return list(self._rounds)

    def round(self, index: int) -> Round:
        """Return a round that has been opened."""
        known = self._rounds if index <= len(self._rounds) else self.rounds()
        return known[index - 1]

    def _read_rounds(self) -> list[Round]:
        query = sa.select(schema.rounds).order_by(schema.rounds.c.index)

        def work(connection: sa.Connection) -> list[Round]:
            references = self._all_references(connection)
            return [
                Round(
                    index=row["index"],
                    seeds=tuple(row["seeds"]),
                    pool=tuple(references[key] for key in row["pool"]),
                )
                for row in connection.execute(query).mappings()
            ]

        return self._database.read(work)

    def add_preferences(self, preferences: Sequence[Preference]) -> None:
        """Add judgements; none is ever changed or removed."""
        rows = [{**asdict(one), "created": datetime.now(UTC)} for one in preferences]
        self._database.write_once(lambda c: c.execute(schema.preferences.insert(), rows))

    def preferences(self) -> list[Preference]:
        """Return all judgements in order."""
        last, known = self._preferences
        query = (
            sa.select(schema.preferences)
            .where(schema.preferences.c.id > last)
            .order_by(schema.preferences.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        if rows:
            new = [Preference(row["better"], row["worse"], row["tie"]) for row in rows]
            self._preferences = rows[-1]["id"], [*known, *new]
        return list(self._preferences[1])

    def earlier(self) -> list[Trial]:
        """Return the scored trials of the study that this one started from."""
        if self._earlier is None:
            self._earlier = self._read_earlier()
        return list(self._earlier)

    def _read_earlier(self) -> list[Trial]:
        query = sa.select(schema.earlier).order_by(schema.earlier.c.position)

        def work(connection: sa.Connection) -> tuple[list[Reference], Sequence[Any]]:
            references = list(self._all_references(connection).values())
            return references, connection.execute(query).mappings().all()

        references, rows = self._database.read(work)
        return [
            Trial(
                index=row["position"],
                round=0,
                action=Action.from_json(row["action"], references),
                source="earlier",
                seeds=(),
                status=TrialStatus.DONE,
                score=Score(tuple(row["scores"][0])),
                further=tuple(Score(tuple(values)) for values in row["scores"][1:]),
            )
            for row in rows
        ]

    def put_assessment(self, found: Assessment, preferences: int) -> None:
        """Store what the trials came to, in place of an earlier assessment.

        Args:
            found: what the proposer made of them.
            preferences: how many judgements it knew.
        """
        row = {"preferences": preferences, "data": found.to_json()}

        def work(connection: sa.Connection) -> None:
            connection.execute(schema.assessment.delete())
            connection.execute(schema.assessment.insert(), row)

        self._database.write(work)

    def assessment(self) -> tuple[Assessment, int]:
        """Return what the trials came to when that was last asked, of so many judgements."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(schema.assessment)).mappings().one_or_none()
        if row is None:
            return Assessment(), 0
        return Assessment.from_json(row["data"]), row["preferences"]

    def put_heldout(self, trial: int, row: HeldoutRow) -> None:
        """Store how a trial's action did on held-out seeds, in place of an earlier result."""
        data = {
            "trial": trial,
            "seeds": list(row.seeds),
            "values": {name: list(values) for name, values in row.values.items()},
            "reporters": [reporter.to_json() for reporter in row.reporters],
            "images": list(row.images),
        }

        def work(connection: sa.Connection) -> None:
            connection.execute(schema.heldout.delete().where(schema.heldout.c.trial == trial))
            connection.execute(schema.heldout.insert(), data)

        self._database.write(work)

    def heldout(self) -> dict[int, HeldoutRow]:
        """Return what is stored about held-out seeds, by trial."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(schema.heldout)).mappings()
            return {row["trial"]: _heldout_row(row) for row in rows}

    def _references_with(
        self, connection: sa.Connection, used: Collection[str]
    ) -> Sequence[Reference]:
        """Return references, those with these identities among them."""
        if not self._cache.keys() >= set(used):
            self._all_references(connection)
        return list(self._cache.values())

    def _all_references(self, connection: sa.Connection) -> dict[str, Reference]:
        """Read the references; their pixels are read once."""
        rows = connection.execute(
            sa.select(schema.references).order_by(schema.references.c.position)
        )
        for row in rows.mappings():
            if row["id"] not in self._cache:
                image, role = self.images.load(row["id"]), Role(row["hand_role"])
                self._cache[row["id"]] = Reference(row["id"], row["name"], image, role)
        return self._cache


def stored_settings(location: Location) -> StudySettings:
    """Return what a study was made with; nothing else of it need be whole.

    Raises:
        NotAStudyError: there is none.
        NewerStoreError: written by a newer version.
    """
    database = Database(location)
    try:
        return Store(database).settings
    finally:
        database.close()


def put_images_at(location: Location, url: str | None) -> None:
    """Store where a study keeps its images; moving them is the caller's.

    Raises:
        NotAStudyError: there is none.
    """
    database = Database(location)
    try:
        settings = Store(database).settings
        if settings.images_at != url:
            moved = settings.model_copy(update={"images_at": url}).model_dump(mode="json")
            update = schema.study.update().values(settings=moved)
            database.write(lambda connection: connection.execute(update))
    finally:
        database.close()


@dataclass(frozen=True)
class Beginning:
    """What a new study knows."""

    measures: tuple[Measure, ...]
    """What is measured, the first objective first."""
    first: Round
    earlier: tuple[Trial, ...] = ()
    """Scored trials of an earlier study."""


def _heldout_row(row: Any) -> HeldoutRow:
    return HeldoutRow(
        seeds=tuple(row["seeds"]),
        values={name: tuple(values) for name, values in row["values"].items()},
        images=tuple(row["images"]),
        reporters=tuple(Reporter(**reporter) for reporter in row["reporters"]),
    )


def _measures(about: Any, settings: StudySettings) -> tuple[Measure, ...]:
    named = [one for one in settings.objective if one.called == about["objective"]]
    point = named[0].reference_point if named else None
    first = Measure(about["objective"], about["direction"], reference_point=point)
    return (first, *(Measure(**measure) for measure in about["further"] or ()))


def _insert_round(connection: sa.Connection, opened: Round) -> None:
    _insert_references(connection, opened.pool)
    pool = [reference.id for reference in opened.pool]
    row = {"index": opened.index, "seeds": list(opened.seeds), "pool": pool}
    connection.execute(schema.rounds.insert(), row)


def _insert_earlier(connection: sa.Connection, trials: Sequence[Trial]) -> None:
    used = (r for trial in trials for r in (*trial.action.liked, *trial.action.disliked))
    _insert_references(connection, tuple(dict.fromkeys(used)))
    for position, trial in enumerate(trials):
        # What counts of each seed: the other study's prompts are not ours.
        scores = [list(score.by_seed) for score in trial.scores]
        row = {"position": position, "action": trial.action.to_json(), "scores": scores}
        connection.execute(schema.earlier.insert(), row)


def _insert_references(connection: sa.Connection, references: Sequence[Reference]) -> None:
    """Add those that are new, behind those that are there."""
    known = set(connection.execute(sa.select(schema.references.c.id)).scalars())
    new = [reference for reference in references if reference.id not in known]
    for position, reference in enumerate(new, len(known)):
        row = {
            "id": reference.id,
            "position": position,
            "name": reference.name,
            "hand_role": str(reference.hand_role),
        }
        connection.execute(schema.references.insert(), row)
