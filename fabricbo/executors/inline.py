"""Drawing and scoring in this process.

With `ahead`, a thread draws, so that whoever submits can think of the next action meanwhile. With
`beside`, it draws the next while one more thread decodes, and another scores: each does one after
the other, in order, so that reports of what has ended come in the same order as without.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from fabricbo.executors.work import (
    Begun,
    Finished,
    Report,
    Tools,
    Work,
    begin_all,
    finish,
    perform_all,
    score,
)

Beside = Callable[[], AbstractContextManager[Any]]
"""Returns what a thread is in while another draws, such as a stream of a GPU."""
T = TypeVar("T")


class InlineExecutor:
    """Does one piece of work after the other."""

    def __init__(
        self, tools: Tools, ahead: int = 0, together: int = 1, *, beside: Beside | None = None
    ) -> None:
        """Take what it works with.

        Args:
            tools: sampler and objectives.
            together: how much work may be drawn in one batch.
            ahead: how much work may wait behind what is being done. 0: nothing happens but in
                `take`, in the caller's thread.
            beside: with `ahead`, what decoding and scoring go on in while the next are drawn; None:
                they do not.
        """
        self._tools = tools
        self._ahead = ahead
        self._together = together
        self._beside = beside
        self._waiting: deque[Work] = deque()
        self._present: Iterator[Report] = iter(())
        self._thread: _Thread | None = None

    @property
    def slots(self) -> int:
        """What is done at once, and what may wait."""
        return self._together + self._ahead

    @property
    def ahead(self) -> int:
        """What may wait."""
        return self._ahead

    @property
    def has_report(self) -> bool:
        """Whether a thread has said something; without `ahead` nothing happens but in `take`."""
        return self._thread is not None and self._thread.has_report

    def submit(self, work: Work, /) -> None:
        """Take work."""
        if self._ahead == 0:
            self._waiting.append(work)
            return
        if self._thread is None:
            self._thread = _Thread(self._tools, self._together, self._beside)
        self._thread.work.put(work)

    def take(self) -> Report:
        """Return the next report; without `ahead`, this is where the work is done."""
        if self._thread is not None:
            return self._thread.report()
        while True:
            report = next(self._present, None)
            if report is not None:
                return report
            next_ones = [self._waiting.popleft()]
            while self._waiting and len(next_ones) < self._together:
                next_ones.append(self._waiting.popleft())
            self._present = perform_all(next_ones, self._tools)

    def close(self) -> None:
        """Forget what waits; a thread ends with what it is at."""
        self._waiting.clear()
        if self._thread is not None:
            self._thread.stop()
            self._thread = None


class _Thread:
    """Works until it is told to stop; a daemon, so that an impatient end need not wait for it."""

    def __init__(self, tools: Tools, together: int, beside: Beside | None) -> None:
        self._together = together
        self.work: queue.Queue[Work] = queue.Queue()
        self._tools = tools
        self._reports: queue.Queue[Report | BaseException] = queue.Queue()
        self._stopped = threading.Event()
        self._later = None if beside is None else _Later(tools, beside, self._reports.put)
        threading.Thread(target=self._run, name="fabricbo draws", daemon=True).start()

    @property
    def has_report(self) -> bool:
        """Whether there is a report."""
        return not self._reports.empty()

    def report(self) -> Report:
        """Wait for the next report.

        Raises:
            BaseException: what went wrong beyond what work reports.
        """
        while True:
            try:
                found = self._reports.get(timeout=1.0)  # so that Ctrl-C is heard on Windows, too
            except queue.Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            return found

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped.set()
        if self._later is not None:
            self._later.stop()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                works = self._next_works()
            except queue.Empty:
                continue
            try:
                self._do(works)
            except BaseException as error:
                self._reports.put(error)

    def _next_works(self) -> list[Work]:
        """Return what is drawn in one batch.

        As long as something is scored more may come, and what is drawn alone meanwhile would be
        missing from the batch.

        Raises:
            queue.Empty: there is nothing yet.
        """
        works = [self.work.get(timeout=0.5)]
        while len(works) < self._together:
            may_come = self._later is not None and self._later.is_busy
            try:
                works.append(self.work.get(timeout=0.05) if may_come else self.work.get_nowait())
            except queue.Empty:
                if not may_come or self._stopped.is_set():
                    break
        return works

    def _do(self, works: Sequence[Work]) -> None:
        if self._later is None:
            for report in perform_all(works, self._tools):
                self._reports.put(report)
            return
        for begun in begin_all(works, self._tools):
            self._later.take(begun)


class _Later:
    """Decodes in one thread and scores in another, each in the order of what it is given."""

    def __init__(
        self, tools: Tools, beside: Beside, tell: Callable[[Report | BaseException], None]
    ) -> None:
        self._tools = tools
        self._beside = beside
        self._tell = tell
        self._begun: queue.Queue[Begun] = queue.Queue()
        self._finished: queue.Queue[Finished] = queue.Queue()
        self._unscored = 0
        self._counting = threading.Lock()
        self._stopped = threading.Event()
        self._start("fabricbo decodes", self._begun, self._finish)
        self._start("fabricbo scores", self._finished, self._score)

    @property
    def is_busy(self) -> bool:
        """Whether something is not scored yet."""
        return self._unscored > 0

    def take(self, begun: Begun) -> None:
        """Take what is drawn."""
        self._count(1)
        self._begun.put(begun)

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped.set()

    def _finish(self, begun: Begun) -> None:
        try:
            finished = finish(begun)
        except BaseException:
            self._count(-1)
            raise
        if finished.drawn is not None:
            self._tell(finished.drawn)
        self._finished.put(finished)

    def _score(self, finished: Finished) -> None:
        try:
            self._tell(score(finished, self._tools))
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._counting:
            self._unscored += more

    def _start(self, name: str, given: "queue.Queue[T]", do: Callable[[T], None]) -> None:
        threading.Thread(target=self._run, args=(given, do), name=name, daemon=True).start()

    def _run(self, given: "queue.Queue[T]", do: Callable[[T], None]) -> None:
        try:
            with self._beside():
                while not self._stopped.is_set():
                    self._do_next(given, do)
        except BaseException as error:  # nobody would hear of it in this thread
            self._tell(error)

    def _do_next(self, given: "queue.Queue[T]", do: Callable[[T], None]) -> None:
        try:
            one = given.get(timeout=0.5)
        except queue.Empty:
            return
        try:
            do(one)
        except BaseException as error:
            self._tell(error)
