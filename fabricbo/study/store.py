"""All the SQL: the store is the truth about a study.

SQLite with write-ahead log and full sync: what a call has stored survives a kill or a power
cut after it. Every change is one transaction that takes the write lock at its start.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fabricbo.protocols import Advice, Estimate
from fabricbo.records import Action, Direction, Reference, Role, Round, Score, Trial, TrialStatus
from fabricbo.scoring import Declaration
from fabricbo.study import schema
from fabricbo.study.errors import NewerStoreError, NotAStudyError, TrialStateError
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
        self._engine = _engine(file)
        self._images = images
        self._cache: dict[str, Reference] = {}
        _check_version(self._engine, file)

    @classmethod
    def create(
        cls, file: Path, settings: StudySettings, declared: Declaration, first: Round
    ) -> None:
        """Write a new store with its first round; it appears under its name when it is whole."""
        row = {
            "schema_version": schema.SCHEMA_VERSION,
            "settings": settings.model_dump(mode="json"),
            "objective": declared.name,
            "direction": declared.direction,
            "created": datetime.now(UTC),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        engine = _engine(part)
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            connection.execute(schema.study.insert(), row)
            _insert_round(connection, first)
        engine.dispose()
        part.rename(file)

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    @property
    def settings(self) -> StudySettings:
        """The settings that the study was made with."""
        return StudySettings.model_validate(self._about()["settings"])

    @property
    def objective_name(self) -> str:
        """The name that the objective declared."""
        return str(self._about()["objective"])

    @property
    def direction(self) -> Direction:
        """The direction that the objective declared."""
        direction: Direction = self._about()["direction"]
        return direction

    def _about(self) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(schema.study)).mappings().one()

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
        self, index: int, score: Score, images: Sequence[str], seconds: float | None
    ) -> None:
        """Store the outcome of a pending trial, whose images are already on disk.

        Raises:
            TrialStateError: the trial is not pending.
        """
        outcome = {
            "status": str(TrialStatus.DONE),
            "values": list(score.values),
            "images": list(images),
            "seconds": seconds,
        }
        self._leave_pending(index, outcome)

    def fail_trial(self, index: int, reason: str) -> None:
        """Store that a pending trial failed.

        Raises:
            TrialStateError: the trial is not pending.
        """
        self._leave_pending(index, {"status": str(TrialStatus.FAILED), "reason": reason})

    def _leave_pending(self, index: int, outcome: dict[str, Any]) -> None:
        pending = (schema.trials.c.index == index) & (
            schema.trials.c.status == str(TrialStatus.PENDING)
        )
        with self._engine.begin() as connection:
            if (
                connection.execute(schema.trials.update().where(pending).values(outcome)).rowcount
                != 1
            ):
                raise TrialStateError(f"trial {index} is not pending; its outcome is kept as it is")

    def trials(self) -> list[Trial]:
        """Return all trials in order."""
        query = (
            sa.select(schema.trials, schema.rounds.c.seeds)
            .join(schema.rounds, schema.trials.c.round == schema.rounds.c.index)
            .order_by(schema.trials.c.index)
        )
        with self._engine.connect() as connection:
            references = list(self._all_references(connection).values())
            return [_trial(row, references) for row in connection.execute(query).mappings()]

    def put_estimates(self, estimates: Mapping[int, Estimate], advice: Advice | None) -> None:
        """Store what trials are expected to score, and advice, in place of earlier ones."""
        rows = [
            {"trial": index, "mean": found.mean, "standard_error": found.standard_error}
            for index, found in estimates.items()
        ]
        with self._engine.begin() as connection:
            connection.execute(schema.estimates.delete())
            if rows:
                connection.execute(schema.estimates.insert(), rows)
            connection.execute(schema.advice.delete())
            if advice is not None:
                connection.execute(schema.advice.insert(), asdict(advice))

    def estimates(self) -> dict[int, Estimate]:
        """Return what trials were expected to score when that was last asked."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(schema.estimates)).mappings()
            return {row["trial"]: Estimate(row["mean"], row["standard_error"]) for row in rows}

    def advice(self) -> Advice | None:
        """Return the advice that came with the estimates."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(schema.advice)).mappings().one_or_none()
            return None if row is None else Advice(**row)

    def put_heldout(
        self, trial: int, seeds: Sequence[int], score: Score, images: Sequence[str]
    ) -> None:
        """Store how a trial's action did on held-out seeds, in place of an earlier result."""
        row = {
            "trial": trial,
            "seeds": list(seeds),
            "values": list(score.values),
            "images": list(images),
        }
        with self._engine.begin() as connection:
            connection.execute(schema.heldout.delete().where(schema.heldout.c.trial == trial))
            connection.execute(schema.heldout.insert(), row)

    def heldout(self) -> dict[int, tuple[Score, tuple[str, ...]]]:
        """Return scores and images on held-out seeds, by trial."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(schema.heldout)).mappings()
            return {
                row["trial"]: (Score(tuple(row["values"])), tuple(row["images"])) for row in rows
            }

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


def _insert_round(connection: sa.Connection, opened: Round) -> None:
    known = set(connection.execute(sa.select(schema.references.c.id)).scalars())
    for position, reference in enumerate(opened.pool):
        if reference.id not in known:
            row = {
                "id": reference.id,
                "position": position,
                "name": reference.name,
                "hand_role": str(reference.hand_role),
            }
            connection.execute(schema.references.insert(), row)
    pool = [reference.id for reference in opened.pool]
    row = {"index": opened.index, "seeds": list(opened.seeds), "pool": pool}
    connection.execute(schema.rounds.insert(), row)


def _trial(row: Any, references: Sequence[Reference]) -> Trial:
    return Trial(
        index=row["index"],
        round=row["round"],
        action=Action.from_json(row["action"], references),
        source=row["source"],
        seeds=tuple(row["seeds"]),
        status=TrialStatus(row["status"]),
        score=None if row["values"] is None else Score(tuple(row["values"])),
        images=tuple(row["images"] or ()),
        reason=row["reason"],
        seconds=row["seconds"],
    )


def _engine(file: Path) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{file}", json_serializer=_strict_json)

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, see below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA busy_timeout=30000")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _strict_json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _check_version(engine: sa.Engine, file: Path) -> None:
    try:
        with engine.connect() as connection:
            version = connection.execute(sa.select(schema.study.c.schema_version)).scalar_one()
    except (sa.exc.DatabaseError, sa.exc.NoResultFound) as error:
        raise NotAStudyError(f"{file} is no store of a study: {error}") from error
    if version > schema.SCHEMA_VERSION:
        raise NewerStoreError(
            f"{file} was written by a newer fabricbo (schema {version}; this one reads up to "
            f"{schema.SCHEMA_VERSION}): update fabricbo to open it"
        )
    if version < schema.SCHEMA_VERSION:
        # Versions so far only added tables.
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            connection.execute(schema.study.update().values(schema_version=schema.SCHEMA_VERSION))
