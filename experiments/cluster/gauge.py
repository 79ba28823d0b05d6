"""Watching a study: what its driver spends its time on, and when enough has been seen."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any
from unittest import mock

import sqlalchemy as sa

from experiments.cluster.workers import TimedWorkers
from experiments.stopwatch import own_seconds
from fabricbo.protocols import History, Proposal, Proposer
from fabricbo.records import Trial
from fabricbo.study.database import Database
from fabricbo.study.images import ImageStore


class EnoughError(Exception):
    """All that was to be measured has been."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    trials: int
    """That end."""
    seconds: float
    """After which it ends, whatever it has come to."""


@dataclass
class Tally:
    """What the driver did since the start, in seconds and numbers."""

    proposing: float = 0.0
    storing: float = 0.0
    """Reading and writing rows."""
    saving: float = 0.0
    """Writing images."""
    waiting: float = 0.0
    """For workers."""
    statements: int = 0
    commits: int = 0
    trials: int = 0
    """That ended."""
    when: float = 0.0
    """On the workers' clock."""


class Gauge:
    """Measures from the time at which every worker could have had work."""

    def __init__(self, slots: int, effort: Effort) -> None:
        """Take how many trials there are at once, and how many are to be seen."""
        self.tally = Tally()
        self.begun: Tally | None = None
        self.suggestions: list[float] = []
        """Seconds of each that was measured."""
        self.workers: TimedWorkers | None = None
        self._slots, self._effort = slots, effort
        self._since, self._proposed = own_seconds(), 0

    def so_far(self) -> Tally:
        """Return the sums so far."""
        if self.workers is None:
            return Tally()
        now, waited = self.workers.clock(), self.workers.sheet.waited
        return replace(self.tally, when=now, waiting=waited)

    def note_suggestion(self, seconds: float) -> None:
        """Take note of a suggestion."""
        self.tally.proposing += seconds
        self._proposed += 1
        spent = own_seconds() - self._since
        if self.begun is not None:
            self.suggestions.append(seconds)
        elif self._proposed >= self._slots or spent > self._effort.seconds / 2:
            self.begun = self.so_far()
        self._stop_at_the_end()

    def note_trial(self, _trial: Trial) -> None:
        """Take note of a finished trial."""
        self.tally.trials += 1
        self._stop_at_the_end()

    def _stop_at_the_end(self) -> None:
        if self.begun is None:
            return
        done = self.tally.trials - self.begun.trials
        if done >= self._effort.trials or own_seconds() - self._since > self._effort.seconds:
            raise EnoughError


class TimedProposer:
    """Times another proposer."""

    def __init__(self, proposer: Proposer, gauge: Gauge) -> None:
        """Take the proposer, and who is told."""
        self._proposer, self._gauge = proposer, gauge

    def propose(self, history: History, /) -> Proposal:
        """Return what the other one proposes."""
        began = own_seconds()
        proposal = self._proposer.propose(history)
        self._gauge.note_suggestion(own_seconds() - began)
        return proposal


@contextmanager
def watching(tally: Tally) -> Iterator[None]:
    """Time and count what goes to the database and to the image files."""

    def count_statement(*_: Any) -> None:
        tally.statements += 1

    def count_commit(_: Any) -> None:
        tally.commits += 1

    def store(seconds: float) -> None:
        tally.storing += seconds

    def save(seconds: float) -> None:
        tally.saving += seconds

    heard = {"before_cursor_execute": count_statement, "commit": count_commit}
    methods = [(Database, name, store) for name in ("read", "write", "write_once", "once")]
    methods += [(ImageStore, "save", save)]
    with ExitStack() as stack:
        for name, hear in heard.items():
            sa.event.listen(sa.Engine, name, hear)
            stack.callback(sa.event.remove, sa.Engine, name, hear)
        for kind, method, add in methods:
            timed = _timed(getattr(kind, method), add)
            stack.enter_context(mock.patch.object(kind, method, timed))
        yield


def _timed(method: Callable[..., Any], add: Callable[[float], None]) -> Callable[..., Any]:
    @wraps(method)
    def timed(*given: Any) -> Any:
        began = own_seconds()
        try:
            return method(*given)
        finally:
            add(own_seconds() - began)

    return timed
