"""Drawing and scoring in this process.

With `ahead`, a thread draws, so that whoever submits can think of the next action meanwhile.
"""

import queue
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from fabricbo.executors.work import Report, Tools, Work, perform_all


class InlineExecutor:
    """Does one piece of work after the other."""

    def __init__(self, tools: Tools, ahead: int = 0, together: int = 1) -> None:
        """Take what it works with.

        Args:
            tools: sampler and objectives.
            together: how much work may be drawn in one batch.
            ahead: how much work may wait behind what is being done. 0: nothing happens but in
                `take`, in the caller's thread.
        """
        self._tools = tools
        self._ahead = ahead
        self._together = together
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
            self._thread = _Thread(self._tools, self._together)
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

    def __init__(self, tools: Tools, together: int) -> None:
        self._together = together
        self.work: queue.Queue[Work] = queue.Queue()
        self._tools = tools
        self._reports: queue.Queue[Report | BaseException] = queue.Queue()
        self._stopped = threading.Event()
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

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                works = [self.work.get(timeout=0.5)]
            except queue.Empty:
                continue
            with suppress(queue.Empty):
                while len(works) < self._together:
                    works.append(self.work.get_nowait())
            try:
                for report in perform_all(works, self._tools):
                    self._reports.put(report)
            except BaseException as error:
                self._reports.put(error)
