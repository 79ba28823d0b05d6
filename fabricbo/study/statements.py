"""What the store is asked for every vote, built once: building takes longer than running."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from fabricbo.study import schema

UNASKED = sa.select(schema.questions.c.id).where(
    schema.questions.c.id.not_in(sa.select(schema.tasks.c.question)),
    schema.questions.c.withdrawn.is_(False),
    schema.questions.c.expected.is_(None),
    schema.questions.c.repeat_of.is_(None),
)
TASKS = (
    sa.select(
        *schema.tasks.c["id", "question", "rater", "order"],
        *schema.questions.c["kind", "options", "reason", "repeat_of", "only_for", "expected"],
    )
    .join(schema.questions, schema.tasks.c.question == schema.questions.c.id)
    .order_by(schema.tasks.c.created, schema.tasks.c.id)
)
MINE = schema.tasks.c.rater == sa.bindparam("rater")
TASK = TASKS.where(schema.tasks.c.id == sa.bindparam("task"))
TASK_ON = TASKS.where(MINE, schema.tasks.c.question == sa.bindparam("question"))
OPEN_TASK = TASKS.where(MINE, schema.tasks.c.answer.is_(None)).limit(1)
GIVEN = sa.select(sa.func.count()).where(MINE, schema.tasks.c.answer.is_not(None))
WITHDRAWN = sa.select(schema.questions.c.withdrawn).where(
    schema.questions.c.id == sa.bindparam("question")
)
STATE = sa.select(schema.rating_state.c.state).order_by(schema.rating_state.c.id.desc()).limit(1)
_NEWEST = [
    sa.func.coalesce(sa.select(sa.func.max(table.c.id)).scalar_subquery(), 0)
    for table in (schema.votes, schema.exclusions)
]
REVISION = sa.select(_NEWEST[0] + _NEWEST[1])
ANSWER = sa.select(schema.tasks.c.answer).where(schema.tasks.c.id == sa.bindparam("task"))
SET_ANSWER = (
    schema.tasks.update()
    .where(schema.tasks.c.id == sa.bindparam("task"))
    .values(answer=sa.bindparam("said"))
)
CHANGE_ANSWERED = (
    schema.questions.update()
    .where(schema.questions.c.id == sa.bindparam("question"))
    .values(answered=schema.questions.c.answered + sa.bindparam("change"))
)


def _wanted() -> sa.Select[Any]:
    tasks, questions = schema.tasks, schema.questions
    of_it = tasks.c.question == questions.c.id
    busy = tasks.c.answer.is_(None) & (tasks.c.created > sa.bindparam("since"))
    thinking = sa.select(sa.func.count()).where(of_it & busy).scalar_subquery()
    return (
        sa.select(questions)
        .where(
            questions.c.withdrawn.is_(False),
            questions.c.answered == sa.bindparam("level"),
            questions.c.only_for.is_(None) | (questions.c.only_for == sa.bindparam("rater")),
            questions.c.expected.is_(None),
            ~sa.exists().where(of_it, MINE),
            questions.c.answered + thinking < sa.bindparam("judgements"),
        )
        .order_by(questions.c.id)
        .limit(1)
    )


WANTED = _wanted()


@dataclass(frozen=True, slots=True)
class Adding:
    """Adds what may be there already, and returns its number where it was not."""

    task: sa.Executable
    vote: sa.Executable


def adding(dialect: str) -> Adding:
    """Return what adds tasks and votes; each database has its own words for it."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    tasks, votes = schema.tasks, schema.votes
    return Adding(
        insert(tasks).on_conflict_do_nothing().returning(tasks.c.id),
        insert(votes).on_conflict_do_nothing(index_elements=["key"]).returning(votes.c.id),
    )
