"""Raters, questions, tasks and votes in a study's store: append-only.

A vote is on disk before its call returns (full sync); the same key stores it once.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

import sqlalchemy as sa

from fabricbo.records import Role as ReferenceRole
from fabricbo.scores import Preference
from fabricbo.study import schema, statements
from fabricbo.study.database import Database
from fabricbo.study.group_commit import GroupCommit
from fabricbo.votes import (
    SKIP,
    UNDO,
    Option,
    Question,
    Rater,
    Task,
    Vote,
    check_answer,
    counting,
    preferences,
    verdicts,
)

Role = Literal["owner", "rater", "invitation"]
RatingState = Literal["open", "paused", "stopped"]


@dataclass(frozen=True, slots=True)
class Standing:
    """An answer that stands."""

    question: int
    rater: int
    answer: str
    repeat_of: int | None = None
    """As `Question.repeat_of`."""
    expected: int | None = None
    """As `Question.expected`."""


class Ballots:
    """What people were asked and what they said; needs neither pool nor images."""

    def __init__(self, database: Database) -> None:
        """Take the study's store."""
        self._database = database
        self._engine = database.engine
        self._statements = statements.adding(database.engine.dialect.name)
        self._write = GroupCommit(database.engine)
        self._counted: tuple[int, tuple[Vote, ...]] | None = None
        self._reading = database.reading

    # Raters

    def add_rater(self, name: str, role: Role = "rater") -> str:
        """Add somebody and return the token that lets them in; only its hash is stored."""
        token = secrets.token_urlsafe(16)
        row = {"name": name, "role": role, "token_hash": _hash(token), "created": _now()}
        with self._engine.begin() as connection:
            connection.execute(schema.raters.insert(), row)
        return token

    def by_token(self, token: str) -> tuple[int, Role] | None:
        """Return who a token belongs to, and their role; None for nobody."""
        query = sa.select(schema.raters).where(schema.raters.c.token_hash == _hash(token))
        with self._reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else (row["id"], row["role"])

    def raters(self) -> list[Rater]:
        """Return those who judge, in the order in which they came."""
        query = sa.select(schema.raters).where(schema.raters.c.role == "rater")
        events = sa.select(schema.exclusions).order_by(schema.exclusions.c.id)
        with self._reading() as connection:
            excluded = {
                row["rater"]: row["excluded"] for row in connection.execute(events).mappings()
            }
            rows = connection.execute(query.order_by(schema.raters.c.id)).mappings()
            return [Rater(row["id"], row["name"], excluded.get(row["id"], False)) for row in rows]

    def raters_named(self, name: str) -> list[Rater]:
        """Return those who judge by this name: in browsers, several may have taken the same."""
        return [rater for rater in self.raters() if rater.name == name]

    def exclude(self, rater: int, reason: str, *, excluded: bool = True) -> None:
        """Leave a rater's votes out, or take that back; both are kept with their reason.

        Raises:
            ValueError: no such rater, or no reason.
        """
        if rater not in {one.id for one in self.raters()}:
            raise ValueError(f"there is no rater {rater}")
        if not reason.strip():
            raise ValueError("leaving a rater out needs a reason")
        row = {"rater": rater, "excluded": excluded, "reason": reason, "created": _now()}
        with self._engine.begin() as connection:
            connection.execute(schema.exclusions.insert(), row)

    # Questions

    def add_questions(self, questions: Sequence[Question]) -> None:
        """Add questions; their identities are given here, in order."""
        rows = [_question_row(question) for question in questions]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(schema.questions.insert(), rows)

    def add_repeat(self, again: Question, rater: int) -> int:
        """Have a question asked again of a rater, and return its number."""
        row = _question_row(replace(again, repeat_of=again.id, only_for=rater, reason="repeat"))
        with self._engine.begin() as connection:
            added = schema.questions.insert().values(row).returning(schema.questions.c.id)
            return int(connection.execute(added).scalar_one())

    def replace_unasked(self, stale: Collection[int], questions: Sequence[Question]) -> None:
        """Take back questions that nobody has been asked yet, and add others in their place.

        Choosing took time. What somebody has been asked since then stays, and takes the place of
        one of those that were chosen: of the one about the same trials, if there is one.

        Args:
            stale: questions that nobody had been asked when the others were chosen.
            questions: the others.
        """
        known = schema.questions
        with self._engine.begin() as connection:
            unasked = set(connection.execute(statements.UNASKED).scalars()).intersection(stale)
            query = sa.select(known).where(known.c.id.in_(set(stale) - unasked))
            taken = [_question(row).trials for row in connection.execute(query).mappings()]
            fresh = [question for question in questions if question.trials not in taken]
            room = max(0, len(questions) - len(taken))
            rows = [_question_row(question) for question in fresh[:room]]
            gone = known.c.id.in_(unasked)
            connection.execute(known.update().where(gone).values(withdrawn=True))
            if rows:
                connection.execute(known.insert(), rows)

    def unasked(self) -> set[int]:
        """Return questions of the plan that nobody has been asked yet."""
        with self._reading() as connection:
            return set(connection.execute(statements.UNASKED).scalars())

    def question(self, number: int) -> Question:
        """Return a question by its number."""
        query = sa.select(schema.questions).where(schema.questions.c.id == number)
        with self._reading() as connection:
            return _question(connection.execute(query).mappings().one())

    def questions(self) -> list[Question]:
        """Return the questions that stand, in order."""
        query = sa.select(schema.questions).where(schema.questions.c.withdrawn.is_(False))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(schema.questions.c.id)).mappings()
            return [_question(row) for row in rows]

    # Tasks and votes

    def assign(self, question: Question, rater: int, order: Sequence[int]) -> Task | None:
        """Put a question to a rater, and return the task; the same one if that was done before.

        None where the question has been withdrawn in the meantime.
        """
        mine = {"question": question.id, "rater": rater}
        row = {**mine, "id": secrets.token_urlsafe(16), "order": list(order), "created": _now()}

        def write(connection: sa.Connection) -> Task | None:
            if connection.scalar(statements.WITHDRAWN, {"question": question.id}):
                return None
            new = connection.scalar(self._statements.task, row)
            if new is not None:
                return Task(new, question, rater, tuple(order))
            return _task(connection.execute(statements.TASK_ON, mine).mappings().one())

        return self._write(write)

    def task(self, task: str) -> Task | None:
        """Return a task; None if there is none of this identity."""
        with self._reading() as connection:
            row = connection.execute(statements.TASK, {"task": task}).mappings().first()
        return None if row is None else _task(row)

    def tasks_of(self, rater: int) -> list[Task]:
        """Return all that a rater was asked, in order."""
        mine = statements.TASKS.where(schema.tasks.c.rater == rater)
        with self._reading() as connection:
            return [_task(row) for row in connection.execute(mine).mappings()]

    def open_task(self, rater: int) -> Task | None:
        """Return what a rater has been asked and not answered, the first put first."""
        with self._reading() as connection:
            row = connection.execute(statements.OPEN_TASK, {"rater": rater}).mappings().first()
        return None if row is None else _task(row)

    def last_answered(self, rater: int) -> Task | None:
        """Return the task that a rater answered last; None without any."""
        query = (
            sa.select(schema.votes.c.task)
            .join(schema.tasks, schema.votes.c.task == schema.tasks.c.id)
            .where((schema.tasks.c.rater == rater) & schema.tasks.c.answer.is_not(None))
            .order_by(schema.votes.c.id.desc())
        )
        with self._reading() as connection:
            found = connection.execute(query.limit(1)).scalar()
        return None if found is None else self.task(found)

    def standing(self, rater: int | None = None) -> list[Standing]:
        """Return what has been answered, and not taken back, in the order of the tasks."""
        tasks, questions = schema.tasks, schema.questions
        query = (
            sa.select(
                *(tasks.c.question, tasks.c.rater, tasks.c.answer),
                *(questions.c.repeat_of, questions.c.expected),
            )
            .join(questions, tasks.c.question == questions.c.id)
            .where(tasks.c.answer.is_not(None))
            .order_by(tasks.c.created, tasks.c.id)
        )
        if rater is not None:
            query = query.where(tasks.c.rater == rater)
        with self._reading() as connection:
            return [Standing(**row) for row in connection.execute(query).mappings()]

    def gold(self) -> list[int]:
        """Return the gold checks, in order."""
        query = sa.select(schema.questions.c.id).where(schema.questions.c.expected.is_not(None))
        with self._reading() as connection:
            return list(connection.execute(query.order_by(schema.questions.c.id)).scalars())

    def counts(self, judgements: int) -> tuple[int, int]:
        """Return how many questions of the plan stand, and how many of them are answered.

        Args:
            judgements: how many raters each needs.
        """
        questions = schema.questions
        enough = sa.case((questions.c.answered >= judgements, 1), else_=0)
        standing, answered = (
            sa.func.count().label("standing"),
            sa.func.sum(enough).label("answered"),
        )
        query = sa.select(standing, answered).where(
            questions.c.withdrawn.is_(False),
            questions.c.expected.is_(None),
            questions.c.repeat_of.is_(None),
        )
        with self._reading() as connection:
            row = connection.execute(query).mappings().one()
        return row["standing"], row["answered"] or 0

    def given(self, rater: int) -> int:
        """Return how many answers of a rater stand."""
        with self._reading() as connection:
            return connection.scalar(statements.GIVEN, {"rater": rater}) or 0

    def wanted(self, rater: int, judgements: int, patience: timedelta) -> Question | None:
        """Return the question that most needs this rater's answer; None if none does.

        Args:
            rater: who has time.
            judgements: how many raters each question needs; gold checks need everybody.
            patience: how long somebody may take who was asked, before another one is.
        """
        given = {"rater": rater, "judgements": judgements, "since": _now() - patience}
        with self._reading() as connection:
            for level in range(judgements):  # the index has them in order at each level
                row = (
                    connection.execute(statements.WANTED, {**given, "level": level})
                    .mappings()
                    .first()
                )
                if row is not None:
                    return _question(row)
        return None

    def vote(self, task: Task, answer: str, key: str, seconds: float | None = None) -> int:
        """Store an answer and return its number; sent again with the same key, it is stored once.

        Raises:
            ValueError: it is no answer to this task, or the key belongs to another task.
        """
        check_answer(task, answer)
        row = {"task": task.id, "key": key, "answer": answer, "seconds": seconds, "created": _now()}
        votes = schema.votes

        def write(connection: sa.Connection) -> int | None:
            number: int | None = connection.scalar(self._statements.vote, row)
            if number is not None:
                _settle(connection, task, None if answer == UNDO else answer)
            return number

        number = self._write(write)
        if number is not None:
            return int(number)
        with self._reading() as connection:
            known = connection.execute(sa.select(votes).where(votes.c.key == key)).mappings().one()
        if known["task"] != task.id:
            raise ValueError("this key belongs to a vote on another task")
        return int(known["id"])

    def votes(self) -> list[Vote]:
        """Return all votes in order, those that were taken back among them."""
        query = sa.select(schema.votes).order_by(schema.votes.c.id)
        with self._reading() as connection:
            tasks = {
                row["id"]: _task(row) for row in connection.execute(statements.TASKS).mappings()
            }
            rows = connection.execute(query).mappings()
            return [_vote(row, tasks[row["task"]]) for row in rows]

    @property
    def revision(self) -> int:
        """A number that grows with every vote and every exclusion; cheap, for those who wait."""
        with self._reading() as connection:
            return int(connection.scalar(statements.REVISION))

    def counted(self) -> tuple[Vote, ...]:
        """Return the votes that count: not taken back, and of nobody who was left out.

        They are read once a `revision`: a study asks for them whenever it says what is best.
        """
        revision = self.revision
        if self._counted is None or self._counted[0] != revision:
            excluded = frozenset(rater.id for rater in self.raters() if rater.excluded)
            self._counted = (revision, tuple(counting(self.votes(), excluded)))
        return self._counted[1]

    def preferences(self) -> list[Preference]:
        """Return what the votes that count say about trials."""
        return preferences(self.counted())

    def verdicts(self) -> dict[str, int]:
        """Return how often an image was liked, less how often it was disliked."""
        return verdicts(self.counted())

    # What the owner wants in the pool

    def wish(self, image: str, role: ReferenceRole) -> None:
        """Have an image join the next round's pool in a role; `unused` takes that back."""
        row = {"image": image, "role": str(role), "created": _now()}
        with self._engine.begin() as connection:
            connection.execute(schema.wishes.insert(), row)

    def wishes(self) -> dict[str, ReferenceRole]:
        """Return the images that are to join the pool, and their roles."""
        query = sa.select(schema.wishes).order_by(schema.wishes.c.id)
        with self._reading() as connection:
            rows = connection.execute(query).mappings()
            last = {row["image"]: ReferenceRole(row["role"]) for row in rows}
        return {image: role for image, role in last.items() if role is not ReferenceRole.UNUSED}

    # Whether people are asked at all

    @property
    def state(self) -> RatingState:
        """Whether raters are asked."""
        with self._reading() as connection:
            found: RatingState | None = connection.scalar(statements.STATE)
        return found or "open"

    @state.setter
    def state(self, state: RatingState) -> None:
        with self._engine.begin() as connection:
            connection.execute(schema.rating_state.insert(), {"state": state, "created": _now()})


def _settle(connection: sa.Connection, task: Task, answer: str | None) -> None:
    """Note the answer that stands now, and how many a question has."""
    before = connection.scalar(statements.ANSWER, {"task": task.id})
    connection.execute(statements.SET_ANSWER, {"task": task.id, "said": answer})
    change = (answer not in (None, SKIP)) - (before not in (None, SKIP))
    if change:
        connection.execute(
            statements.CHANGE_ANSWERED, {"question": task.question.id, "change": change}
        )


def _question_row(question: Question) -> dict[str, Any]:
    return {
        "kind": question.kind,
        "options": [[option.image, option.trial] for option in question.options],
        "reason": question.reason,
        "repeat_of": question.repeat_of,
        "only_for": question.only_for,
        "expected": question.expected,
        "withdrawn": False,
        "answered": 0,
        "created": _now(),
    }


def _question(row: Any, key: str = "id") -> Question:
    options = tuple(Option(image, trial) for image, trial in row["options"])
    about = {name: row[name] for name in ("kind", "reason", "repeat_of", "only_for", "expected")}
    return Question(id=row[key], options=options, **about)


def _task(row: Any) -> Task:
    return Task(row["id"], _question(row, "question"), row["rater"], tuple(row["order"]))


def _vote(row: Any, task: Task) -> Vote:
    created = row["created"].replace(tzinfo=UTC)  # SQLite keeps no zone
    return Vote(row["id"], task, row["answer"], row["seconds"], created)


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)
