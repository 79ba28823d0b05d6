"""All the SQL: the store is the truth about a study.

SQLite with write-ahead log and full sync: what a call has stored survives a kill or a power
cut after it. Every change is one transaction that takes the write lock at its start.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fabricbo.assessment import Assessment
from fabricbo.protocols import Environment
from fabricbo.records import Action, Reference, Role, Round, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score
from fabricbo.study import schema
from fabricbo.study.database import check_version, connect
from fabricbo.study.drawing import score_over_prompts
from fabricbo.study.errors import NotAStudyError, TrialStateError
from fabricbo.study.heldout import HeldoutRow, Reporter
from fabricbo.study.images import ImageStore
from fabricbo.study.settings import StudySettings


class Store:
    """The rows of one study."""

    def __init__(self, file: Path, images: ImageStore) -> None:
        """Open a store.

        Raises:
            NotAStudyError: no store at this place, or a file that is none.
            NewerStoreError: written by a newer version.
        """
        if not file.is_file():
            raise NotAStudyError(f"no study at {file.parent} (there is no {file.name})")
        self._engine = connect(file)
        self._images = images
        self._cache: dict[str, Reference] = {}
        check_version(self._engine, file)
        with self._engine.connect() as connection:
            about = connection.execute(sa.select(schema.study)).mappings().one()
        self.settings: StudySettings = StudySettings.model_validate(about["settings"])
        """What the study was made with; they never change."""
        self.measures = _measures(about, self.settings)
        """What is measured, the first objective first."""

    @classmethod
    def create(cls, file: Path, settings: StudySettings, begin: "Beginning") -> None:
        """Write a new store with its first round; it appears under its name when it is whole."""
        first, *further = begin.measures
        row = {
            "schema_version": schema.SCHEMA_VERSION,
            "settings": settings.model_dump(mode="json"),
            "objective": first.name,
            "direction": first.direction,
            "further": [asdict(measure) for measure in further],
            "created": datetime.now(UTC),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        engine = connect(part)
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            connection.execute(schema.study.insert(), row)
            _insert_round(connection, begin.first)
            _insert_earlier(connection, begin.earlier)
        engine.dispose()
        part.rename(file)

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    def open_round(self, opened: Round) -> None:
        """Add a round, and those references of its pool that are new."""
        with self._engine.begin() as connection:
            _insert_round(connection, opened)

    def rounds(self) -> list[Round]:
        """Return all rounds in order."""
        with self._engine.connect() as connection:
            references = self._all_references(connection)
            rows = connection.execute(
                sa.select(schema.rounds).order_by(schema.rounds.c.index)
            ).mappings()
            return [
                Round(
                    index=row["index"],
                    seeds=tuple(row["seeds"]),
                    pool=tuple(references[key] for key in row["pool"]),
                )
                for row in rows
            ]

    def add_trial(self, trial: Trial) -> None:
        """Add a pending trial."""
        row = {
            "index": trial.index,
            "round": trial.round,
            "action": trial.action.to_json(),
            "source": trial.source,
            "status": str(TrialStatus.PENDING),
            "created": datetime.now(UTC),
        }
        with self._engine.begin() as connection:
            connection.execute(schema.trials.insert(), row)

    def finish_trial(
        self,
        index: int,
        scores: Sequence[Score],
        images: Sequence[str],
        seconds: float | None,
        drawn_with: Environment | None = None,
    ) -> None:
        """Store the outcome of a trial that is not over, whose images are already on disk.

        Without scores it is drawn, and waits for a person's judgement.

        Raises:
            TrialStateError: the trial is over.
        """
        values = [list(score.values) for score in scores]
        outcome = {
            "status": str(TrialStatus.DONE if values else TrialStatus.DRAWN),
            "values": values[0] if values else None,
            "further": values[1:] or None,
            "images": list(images),
            "seconds": seconds,
        }
        self._end_trial(index, outcome, drawn_with)

    def fail_trial(self, index: int, reason: str, images: Sequence[str] = ()) -> None:
        """Store that a trial which is not over failed, and what it had drawn.

        Raises:
            TrialStateError: the trial is over.
        """
        outcome: dict[str, Any] = {"status": str(TrialStatus.FAILED), "reason": reason}
        # One that waited for a person has images, which a judgement may be about.
        self._end_trial(index, {**outcome, "images": list(images)} if images else outcome)

    def _end_trial(
        self, index: int, outcome: dict[str, Any], drawn_with: Environment | None = None
    ) -> None:
        going_on = [str(status) for status in (TrialStatus.PENDING, TrialStatus.DRAWN)]
        mine = (schema.trials.c.index == index) & schema.trials.c.status.in_(going_on)
        with self._engine.begin() as connection:
            changed = connection.execute(schema.trials.update().where(mine).values(outcome))
            if changed.rowcount != 1:
                raise TrialStateError(f"trial {index} is not pending; its outcome is kept as it is")
            if drawn_with is not None:
                connection.execute(
                    schema.drawn_with.delete().where(schema.drawn_with.c.trial == index)
                )
                row = {"trial": index, "environment": dict(drawn_with)}
                connection.execute(schema.drawn_with.insert(), row)

    def drawn_with(self, index: int) -> Environment | None:
        """Return what a trial's images depended on; None where nobody said."""
        query = sa.select(schema.drawn_with.c.environment).where(schema.drawn_with.c.trial == index)
        with self._engine.connect() as connection:
            found: Environment | None = connection.scalar(query)
        return found

    def trials(self) -> list[Trial]:
        """Return all trials in order."""
        query = (
            sa.select(schema.trials, schema.rounds.c.seeds)
            .join(schema.rounds, schema.trials.c.round == schema.rounds.c.index)
            .order_by(schema.trials.c.index)
        )
        with self._engine.connect() as connection:
            references = list(self._all_references(connection).values())
            rows = connection.execute(query).mappings()
            return [_trial(row, references, self._scores(row)) for row in rows]

    def _scores(self, row: Any) -> tuple[Score, ...]:
        """Return a row's scores, one a measure; none before it is scored."""
        if row["values"] is None:
            return ()
        pairs = zip([row["values"], *(row["further"] or ())], self.measures, strict=True)
        prompts = len(self.settings.prompts)
        return tuple(score_over_prompts(v, prompts, self.settings, m) for v, m in pairs)

    def add_preferences(self, preferences: Sequence[Preference]) -> None:
        """Add judgements; none is ever changed or removed."""
        rows = [{**asdict(one), "created": datetime.now(UTC)} for one in preferences]
        with self._engine.begin() as connection:
            connection.execute(schema.preferences.insert(), rows)

    def preferences(self) -> list[Preference]:
        """Return all judgements in order."""
        query = sa.select(schema.preferences).order_by(schema.preferences.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings()
            return [Preference(row["better"], row["worse"], row["tie"]) for row in rows]

    def earlier(self) -> list[Trial]:
        """Return the scored trials of the study that this one started from."""
        query = sa.select(schema.earlier).order_by(schema.earlier.c.position)
        with self._engine.connect() as connection:
            references = list(self._all_references(connection).values())
            rows = connection.execute(query).mappings().all()
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
        with self._engine.begin() as connection:
            connection.execute(schema.assessment.delete())
            row = {"preferences": preferences, "data": found.to_json()}
            connection.execute(schema.assessment.insert(), row)

    def assessment(self) -> tuple[Assessment, int]:
        """Return what the trials came to when that was last asked, of so many judgements."""
        with self._engine.connect() as connection:
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
        with self._engine.begin() as connection:
            connection.execute(schema.heldout.delete().where(schema.heldout.c.trial == trial))
            connection.execute(schema.heldout.insert(), data)

    def heldout(self) -> dict[int, HeldoutRow]:
        """Return what is stored about held-out seeds, by trial."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(schema.heldout)).mappings()
            return {row["trial"]: _heldout_row(row) for row in rows}

    def _all_references(self, connection: sa.Connection) -> dict[str, Reference]:
        """Read the references; their pixels are read once."""
        rows = connection.execute(
            sa.select(schema.references).order_by(schema.references.c.position)
        )
        for row in rows.mappings():
            if row["id"] not in self._cache:
                image, role = self._images.load(row["id"]), Role(row["hand_role"])
                self._cache[row["id"]] = Reference(row["id"], row["name"], image, role)
        return self._cache


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


def _trial(row: Any, references: Sequence[Reference], scores: tuple[Score, ...]) -> Trial:
    return Trial(
        index=row["index"],
        round=row["round"],
        action=Action.from_json(row["action"], references),
        source=row["source"],
        seeds=tuple(row["seeds"]),
        status=TrialStatus(row["status"]),
        score=scores[0] if scores else None,
        images=tuple(row["images"] or ()),
        reason=row["reason"],
        seconds=row["seconds"],
        further=scores[1:],
    )
