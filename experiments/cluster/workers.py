"""Executors whose workers draw nothing that takes time: on a clock of their own, or asleep.

`SimulatedWorkers` is a discrete-event simulation. Workers live on a clock that jumps; the driver
lives in its own time, and whatever it needs between two calls of the executor is added to that
clock. So the driver is measured and the workers cost nothing, and 256 of them fit one core. What it
leaves out is the way between the two: Ray's messages, and images on the network.

`SleepingWorkers` are threads that sleep, to check the simulation.
"""

import heapq
import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from experiments.stopwatch import own_seconds
from fabricbo.executors import Drawn, Executor, Report, Tools, Work, perform

_DRAWING = 0.95
"""The share of a trial after which its images are there."""
_SPREAD = 0.1
"""Trials take so much more or less, evenly spread, so that workers do not go in step."""


@dataclass(frozen=True, slots=True)
class Crew:
    """How many workers there are, and what they are like."""

    workers: int
    seconds: float
    """That a trial takes, on average."""

    @property
    def ahead(self) -> int:
        """Work that waits in front of them, as with `RayExecutor`."""
        return max(1, self.workers // 4)

    @property
    def slots(self) -> int:
        """Work that is taken at once."""
        return self.workers + self.ahead

    def seconds_of(self, work: Work) -> float:
        """Return how long some work takes."""
        return self.seconds * (1 + random.Random(work.key).uniform(-_SPREAD, _SPREAD))


@dataclass
class Timesheet:
    """When workers worked, and how long the driver waited for them."""

    busy: list[tuple[float, float]] = field(default_factory=list)
    waited: float = 0.0

    def busy_within(self, begin: float, end: float) -> float:
        """Return the seconds that all workers together worked in a span."""
        return sum(max(0.0, min(end, stop) - max(begin, start)) for start, stop in self.busy)


class TimedWorkers(Executor, Protocol):
    """An executor that knows what time it is for its workers."""

    sheet: Timesheet

    def clock(self) -> float:
        """Return the workers' time in seconds."""


class SimulatedWorkers:
    """Workers on a clock that jumps to whatever happens next."""

    def __init__(self, tools: Tools, crew: Crew) -> None:
        """Take what is drawn and scored with, in no time at all."""
        self._tools, self._crew = tools, crew
        self.sheet = Timesheet()
        self._free = [0.0] * crew.workers
        self._order = count()
        self._reports: list[tuple[float, int, Iterator[Report]]] = []
        self._now, self._left = 0.0, own_seconds()

    @property
    def slots(self) -> int:
        """As the crew has."""
        return self._crew.slots

    @property
    def ahead(self) -> int:
        """As the crew has."""
        return self._crew.ahead

    @property
    def has_report(self) -> bool:
        """Whether anything has happened by now."""
        return bool(self._reports) and self._reports[0][0] <= self.clock()

    def clock(self) -> float:
        """Return the time: that of the last call, and what the driver has spent since."""
        return self._now + own_seconds() - self._left

    def submit(self, work: Work, /) -> None:
        """Give work to whoever is free first."""
        self._now = self.clock()
        start = max(self._now, heapq.heappop(self._free))
        seconds = self._crew.seconds_of(work)
        heapq.heappush(self._free, start + seconds)
        self.sheet.busy.append((start, start + seconds))
        going = perform(work, self._tools)
        for share in (_DRAWING, 1.0):
            report = (start + share * seconds, next(self._order), going)
            heapq.heappush(self._reports, report)
        self._left = own_seconds()

    def take(self) -> Report:
        """Return what is heard next, at the time at which it is."""
        self._now = self.clock()
        when, _, going = heapq.heappop(self._reports)
        self.sheet.waited += max(0.0, when - self._now)
        self._now = max(self._now, when)
        report = next(going)
        self._left = own_seconds()
        return report

    def close(self) -> None:
        """Forget what has not ended."""
        self._reports.clear()


class SleepingWorkers:
    """Threads that sleep as long as the work would take."""

    def __init__(self, tools: Tools, crew: Crew) -> None:
        """Start the threads."""
        self._tools, self._crew = tools, crew
        self.sheet = Timesheet()
        self._work: queue.Queue[Work | None] = queue.Queue()
        self._reports: queue.Queue[Report] = queue.Queue()
        self._began = time.perf_counter()
        for _ in range(crew.workers):
            threading.Thread(target=self._run, daemon=True).start()

    @property
    def slots(self) -> int:
        """As the crew has."""
        return self._crew.slots

    @property
    def ahead(self) -> int:
        """As the crew has."""
        return self._crew.ahead

    @property
    def has_report(self) -> bool:
        """Whether a thread has said something."""
        return not self._reports.empty()

    def clock(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._began

    def submit(self, work: Work, /) -> None:
        """Put work in front of the workers."""
        self._work.put(work)

    def take(self) -> Report:
        """Wait for the next report."""
        began = time.perf_counter()
        report = self._reports.get()
        self.sheet.waited += time.perf_counter() - began
        return report

    def close(self) -> None:
        """Have the threads end."""
        for _ in range(self._crew.workers):
            self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            start, seconds = self.clock(), self._crew.seconds_of(work)
            # It counts as busy from the start, as it does where the end is known beforehand.
            self.sheet.busy.append((start, start + seconds))
            for report in perform(work, self._tools):
                share = _DRAWING if isinstance(report, Drawn) else 1.0
                time.sleep(max(0.0, start + share * seconds - self.clock()))
                self._reports.put(report)
