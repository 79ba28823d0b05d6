"""Writes of many threads in one transaction: each is on disk when its call returns.

A commit waits for the disk, whatever is in it. Whoever comes first commits for all that have come
until then; those find their work done when it is their turn.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import sqlalchemy as sa

T = TypeVar("T")


@dataclass
class _Job(Generic[T]):
    work: Callable[[sa.Connection], T]
    done: bool = False
    value: T | None = None
    error: BaseException | None = None


class GroupCommit:
    """Runs writes, as many in one transaction as are waiting."""

    def __init__(self, engine: sa.Engine) -> None:
        """Take an engine whose transactions take the write lock at their start."""
        self._engine = engine
        self._waiting: list[_Job[object]] = []
        self._queue = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self, work: Callable[[sa.Connection], T]) -> T:
        """Do some writing, and return what it returns once it is on disk.

        An error in it undoes it alone; one in the commit is everybody's.
        """
        job: _Job[T] = _Job(work)
        with self._queue:
            self._waiting.append(job)  # type: ignore[arg-type]
        with self._turn:
            if not job.done:
                self._commit_all()
        if job.error is not None:
            raise job.error
        return job.value  # type: ignore[return-value]

    def _commit_all(self) -> None:
        with self._queue:
            jobs, self._waiting = self._waiting, []
        try:
            with self._engine.begin() as connection:
                if len(jobs) == 1:
                    jobs[0].value = jobs[0].work(connection)
                    return
                for job in jobs:
                    _run(job, connection)
        except BaseException as error:
            for job in jobs:
                job.error = job.error or error
            raise
        finally:
            for job in jobs:
                job.done = True


def _run(job: _Job[object], connection: sa.Connection) -> None:
    """Do one of several, so that an error in it undoes nothing but what it did."""
    try:
        with connection.begin_nested():
            job.value = job.work(connection)
    except Exception as error:
        job.error = error
