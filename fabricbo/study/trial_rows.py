"""The trials of a study, and what became of them.

A trial changes its status by compare-and-swap: whoever draws it counts up its `attempt` first
(`claim`), and only the last attempt can store an outcome. A worker that was given up and comes
back finds that the trial is no longer its own.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from fabricbo.protocols import Environment
from fabricbo.records import Action, Reference, Trial, TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.study import schema
from fabricbo.study.database import Database
from fabricbo.study.errors import TrialStateError
from fabricbo.study.over_prompts import score_over_prompts
from fabricbo.study.settings import StudySettings

References = Callable[[sa.Connection, Collection[str]], Sequence[Reference]]
"""Returns references, those with the given identities among them."""
_NEWEST = sa.select(sa.func.max(schema.trial_events.c.id))
_ROLES = ("liked", "disliked")
_OPEN = [str(status) for status in TrialStatus if not status.is_over]
_PENDING = [str(status) for status in TrialStatus if status.is_pending]


@dataclass(frozen=True, slots=True)
class TrialEvent:
    """A change of a trial's status."""

    trial: int
    attempt: int
    status: TrialStatus
    worker: str | None
    """Who drew it, where that is known."""
    reason: str | None
    created: datetime
    """In UTC."""
    counts: Mapping[str, int] | None = None
    """What the sampler counted while it drew, where it says so."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What happens to a trial: its new status, and the columns that change with it."""

    trial: Trial
    status: TrialStatus
    columns: dict[str, Any]
    before: Sequence[str] = tuple(_OPEN)
    """The statuses it may have."""
    attempts: int = 0
    """That it adds."""
    worker: str | None = None
    environment: Environment | None = None
    counts: Mapping[str, int] | None = None


class TrialRows:
    """Reads and changes them; what has been read once is read again where it changed only."""

    def __init__(
        self,
        database: Database,
        references: References,
        measures: Sequence[Measure],
        settings: StudySettings,
    ) -> None:
        self._database = database
        self._references = references
        self._measures = measures
        self._settings = settings
        self._known: dict[int, Trial] = {}
        self._seen = -1
        self._events: list[TrialEvent] = []
        self._heard = 0
        self._lock = threading.Lock()

    def all(self) -> list[Trial]:
        """Return all trials in order."""
        with self._lock:
            if self._newest() != self._seen:
                self._database.read(self._catch_up)
            return list(self._known.values())

    def _newest(self) -> int:
        with self._database.reading() as connection:
            return connection.scalar(_NEWEST) or 0

    def _catch_up(self, connection: sa.Connection) -> None:
        """Read the trials that something has happened to since they were read last."""
        events, trials = schema.trial_events, schema.trials
        newest = connection.scalar(_NEWEST) or 0
        query = (
            sa.select(trials, schema.rounds.c.seeds)
            .join(schema.rounds, trials.c.round == schema.rounds.c.index)
            .order_by(trials.c.index)
        )
        if self._seen > 0:
            changed = sa.select(events.c.trial).where(events.c.id > self._seen)
            query = query.where(trials.c.index.in_(changed))
        rows = connection.execute(query).mappings().all()
        used = {id for row in rows for role in _ROLES for id in row["action"][role]}
        references = self._references(connection, used)
        for row in rows:
            self._known[row["index"]] = _trial(row, references, self._scores(row))
        self._seen = newest

    def _scores(self, row: Any) -> tuple[Score | None, ...]:
        """Return scores, one a measure, None of what people say; nothing before it is scored."""
        if row["values"] is None and row["further"] is None:
            return ()
        pairs = zip([row["values"], *(row["further"] or ())], self._measures, strict=True)
        prompts = len(self._settings.prompts)
        return tuple(
            None if v is None else score_over_prompts(v, prompts, self._settings, m)
            for v, m in pairs
        )

    def events(self) -> list[TrialEvent]:
        """Return all that became of trials, in order."""
        events = schema.trial_events
        with self._lock:
            query = sa.select(events).where(events.c.id > self._heard).order_by(events.c.id)
            with self._database.reading() as connection:
                rows = connection.execute(query).mappings().all()
            self._events += [_event(row) for row in rows]
            self._heard = rows[-1]["id"] if rows else self._heard
            return list(self._events)

    def add(self, trial: Trial) -> None:
        """Add a trial that was proposed.

        Raises:
            TrialStateError: somebody else has added one of its number.
        """
        self._add(trial, [_Change(trial, trial.status, {})])

    def add_begun(self, trial: Trial) -> Trial:
        """Add a trial that was proposed, and begin the first attempt, in one transaction.

        Returns:
            The trial to draw.

        Raises:
            TrialStateError: somebody else has added one of its number.
        """
        begun = replace(trial, status=TrialStatus.RUNNING, attempt=trial.attempt + 1)
        self._add(begun, [_Change(one, one.status, {}) for one in (trial, begun)])
        return begun

    def _add(self, trial: Trial, changes: Sequence[_Change]) -> None:
        """Add a trial as it is now, after some changes."""
        keys = [uuid4().hex for _ in changes]
        row = {
            "index": trial.index,
            "round": trial.round,
            "action": trial.action.to_json(),
            "source": trial.source,
            "status": str(trial.status),
            "attempt": trial.attempt,
            "created": datetime.now(UTC),
        }

        def work(connection: sa.Connection) -> None:
            if not _is_stored(connection, keys[0]):
                connection.execute(schema.trials.insert(), row)
                for change, key in zip(changes, keys, strict=True):
                    _add_event(connection, change, key)

        try:
            self._database.write(work)
        except sa.exc.IntegrityError as error:
            raise TrialStateError(
                f"another process has asked for trial {trial.index} in the meantime"
            ) from error

    def claim(self, trial: Trial, worker: str | None = None) -> None:
        """Begin a new attempt at a pending trial; earlier ones can store nothing more.

        Raises:
            TrialStateError: it is over, waits for a person, or was claimed by somebody else.
        """
        self._change(_Change(trial, TrialStatus.RUNNING, {}, _PENDING, 1, worker))

    def keep_images(
        self,
        trial: Trial,
        images: Sequence[str],
        environment: Environment | None,
        worker: str | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Store that a trial is drawn, by whom, and that it is going to be scored.

        Raises:
            TrialStateError: it is over, or somebody else has claimed it.
        """
        columns = {"images": list(images)}
        change = _Change(
            trial, TrialStatus.DRAWN, columns, _PENDING, 0, worker, environment, counts
        )
        self._change(change)

    def finish(
        self,
        trial: Trial,
        scores: Sequence[Score | None],
        images: Sequence[str],
        seconds: float | None,
        environment: Environment | None = None,
    ) -> None:
        """Store the outcome of a trial whose images are already kept.

        Without a first score it waits for a person's judgement.

        Raises:
            TrialStateError: it is over, or somebody else has claimed it.
        """
        values = [None if score is None else list(score.values) for score in scores]
        columns = {
            "values": values[0] if values else None,
            "further": values[1:] or None,
            "images": list(images),
            "seconds": seconds,
        }
        status = TrialStatus.DONE if values and values[0] else TrialStatus.AWAITING_RATING
        self._change(_Change(trial, status, columns, environment=environment))

    def lose(
        self, trial: Trial, status: TrialStatus, reason: str, images: Sequence[str] = ()
    ) -> None:
        """Store that a trial came to nothing, and what it had drawn.

        Raises:
            TrialStateError: it is over, or somebody else has claimed it.
        """
        # One that waited for a person has images, which a judgement may be about.
        kept = {"images": list(images)} if images else {}
        self._change(_Change(trial, status, {"reason": reason, **kept}))

    def _change(self, change: _Change) -> None:
        key = uuid4().hex

        def work(connection: sa.Connection) -> None:
            if not _is_stored(connection, key):
                _swap(connection, change)
                _add_event(connection, change, key)

        self._database.write(work)

    def drawn_with(self, index: int) -> Environment | None:
        """Return what a trial's images depended on; None where nobody said."""
        query = sa.select(schema.drawn_with.c.environment).where(schema.drawn_with.c.trial == index)
        with self._database.reading() as connection:
            found: Environment | None = connection.scalar(query)
        return found


def about(trial: Trial) -> dict[str, int]:
    """Return what a log record says of a trial besides its message."""
    return {"trial": trial.index, "attempt": trial.attempt}


def _is_stored(connection: sa.Connection, key: str) -> bool:
    """Tell whether a change that is sent again has arrived before."""
    events = schema.trial_events
    return connection.scalar(sa.select(events.c.id).where(events.c.key == key)) is not None


def _swap(connection: sa.Connection, change: _Change) -> None:
    trials, trial = schema.trials, change.trial
    mine = (trials.c.index == trial.index) & (trials.c.attempt == trial.attempt)
    values = {**change.columns, "status": change.status, "attempt": trial.attempt + change.attempts}
    update = trials.update().where(mine & trials.c.status.in_(change.before)).values(values)
    if connection.execute(update).rowcount != 1:
        raise TrialStateError(_why_not(connection, trial))
    if change.environment is not None:
        known = schema.drawn_with
        connection.execute(known.delete().where(known.c.trial == trial.index))
        row = {"trial": trial.index, "environment": dict(change.environment)}
        connection.execute(known.insert(), row)


def _why_not(connection: sa.Connection, trial: Trial) -> str:
    query = sa.select(schema.trials).where(schema.trials.c.index == trial.index)
    now = connection.execute(query).mappings().one_or_none()
    if now is None:
        return f"there is no trial {trial.index}"
    if now["attempt"] != trial.attempt:
        return (
            f"trial {trial.index} was taken over: this is attempt {trial.attempt}, and attempt "
            f"{now['attempt']} has begun; what this one came to is not stored"
        )
    return f"trial {trial.index} is not pending but {now['status']}; its outcome is kept as it is"


def _add_event(connection: sa.Connection, change: _Change, key: str) -> None:
    row = {
        "trial": change.trial.index,
        "attempt": change.trial.attempt + change.attempts,
        "status": str(change.status),
        "worker": change.worker,
        "reason": change.columns.get("reason"),
        "counts": dict(change.counts) if change.counts else None,
        "key": key,
        "created": datetime.now(UTC),
    }
    connection.execute(schema.trial_events.insert(), row)


def _event(row: Any) -> TrialEvent:
    about = {name: row[name] for name in ("trial", "attempt", "worker", "reason", "counts")}
    created = row["created"].replace(tzinfo=UTC)  # SQLite keeps no zone
    return TrialEvent(status=TrialStatus(row["status"]), created=created, **about)


def _trial(row: Any, references: Sequence[Reference], scores: tuple[Score | None, ...]) -> Trial:
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
        further=tuple(score for score in scores[1:] if score is not None),
        attempt=row["attempt"],
    )
