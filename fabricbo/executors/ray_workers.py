"""Drawing and scoring on many GPUs, with Ray: a worker each, which loads its networks once.

A worker that dies is replaced, and what it was at is reported as crashed. Between two pieces of
work a worker waits for nothing: what comes next stands in front of it.
"""

import logging
import os
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fabricbo.executors.work import Crashed, Drawn, ExecutorError, Report, Tools, Work, perform

if TYPE_CHECKING:
    from PIL.Image import Image

MakeTools = Callable[[], Tools]
Embed = Callable[[Tools], Callable[[Sequence["Image"]], Any] | None]
_LOOK = 0.1
"""Seconds that are waited for an answer, before what else has been asked is looked at."""
_SAY_WAITING = 60.0
_MOST_STILLBORN = 3
"""Workers in a row that may die before they are ready, where none has ever been."""
_MOST_LOST = 30
"""The same where some have been: then loading is not what kills them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where the workers are, and what each gets."""

    workers: int | None = None
    """How many; None: one for each GPU of the cluster, or for each `cpus` where it has none."""
    gpus: float | None = None
    """Of each worker; None: one, where the cluster has any."""
    cpus: float = 1.0
    """Of each worker."""
    address: str | None = None
    """`auto`, `ray://HOST:PORT`, or None: a cluster of this machine alone."""
    ahead: int | None = None
    """How much work waits in front of the workers; None: a quarter of their number, at least 1."""
    patience: float = 3600.0
    """Seconds that a piece of work may take before its worker is given up."""


class _Actor:
    """A worker: what Ray runs in a process of its own."""

    def __init__(self, make_tools: MakeTools) -> None:
        self._make_tools = make_tools
        self._tools: Tools | None = None
        self._going: Iterator[Report] = iter(())

    def load(self) -> int:
        """Load the networks, and return the number of the process."""
        self._tools = self._tools or self._make_tools()
        return os.getpid()

    def begin(self, work: Work) -> Report | None:
        """Begin some work, and return the first report about it."""
        if self._tools is None:
            raise RuntimeError("the worker has not loaded its networks")
        self._going = perform(work, self._tools)
        return next(self._going, None)

    def go_on(self) -> Report | None:
        """Return the second report; None where the first one was the last."""
        return next(self._going, None)

    def embed(self, embed: Embed, images: Sequence["Image"]) -> Any:
        """Embed images with what the networks have for that."""
        if self._tools is None:
            raise RuntimeError("the worker has not loaded its networks")
        found = embed(self._tools)
        return None if found is None else found(images)


@dataclass
class _Worker:
    """A worker as it is seen from here."""

    number: int
    actor: Any
    calls: deque[Any]
    """What it has been asked and has not answered, in order."""
    work: Work | None = None
    since: float = 0.0
    loading: bool = True

    @property
    def name(self) -> str:
        """What is stored of it."""
        return f"ray worker {self.number}"


class RayExecutor:
    """Hands work to workers on a Ray cluster.

    A thread hears what they answer and gives them what waits, so that none of them stands still
    while whoever submits work thinks of the next action.
    """

    def __init__(self, make_tools: MakeTools, options: RayOptions | None = None) -> None:
        """Connect to the cluster; workers are started with the first work.

        Args:
            make_tools: called once in each worker, so that networks are loaded there. It is
                pickled; files that it reads must be where the workers are.
            options: where the workers are, and what each gets.

        Raises:
            ExecutorError: Ray is not installed, or the cluster cannot be reached or has no room.
        """
        if find_spec("ray") is None:
            raise ExecutorError('executor: needs Ray: pip install "fabricbo[ray]"')
        self._options = options or RayOptions()
        self._make_tools = make_tools
        self._ray = _connect(self._options.address)
        self._gpus, self._count = _room(self._ray.cluster_resources(), self._options)
        self._crew: _Crew | None = None

    @property
    def slots(self) -> int:
        """One a worker, and what waits in front of them."""
        return self._count + self.ahead

    @property
    def ahead(self) -> int:
        """As the options say, or a quarter of the workers, at least one."""
        ahead = self._options.ahead
        return max(1, self._count // 4) if ahead is None else ahead

    @property
    def has_report(self) -> bool:
        """Whether any worker has said something that was not taken yet."""
        return self._crew is not None and self._crew.has_report

    @property
    def utilisation(self) -> float:
        """The share of the time since the first work that workers have worked, 0 to 1."""
        return 0.0 if self._crew is None else self._crew.utilisation

    def load(self) -> None:
        """Start the workers, and wait until one of them has loaded its networks.

        Raises:
            Exception: what it could not load.
        """
        self._asked(self._present_crew().free_actor().load.remote())

    def submit(self, work: Work, /) -> None:
        """Take work; the first free worker begins it."""
        self._present_crew().submit(work)

    def take(self) -> Report:
        """Wait for the next report of any worker.

        Raises:
            ExecutorError: workers die one after the other before they are ready.
            Exception: what a worker could not load, or what went wrong beyond what work reports.
        """
        return self._present_crew().take()

    def embed(self, how: Embed, images: Sequence["Image"]) -> Any:
        """Have a worker embed images; waits until one has loaded its networks."""
        return self._asked(self._present_crew().free_actor().embed.remote(how, list(images)))

    def _asked(self, call: Any) -> Any:
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.RayError as error:
            raise ExecutorError(f"a worker died: {_first_line(error)}") from error

    def close(self) -> None:
        """End the workers; work that has not ended is forgotten."""
        if self._crew is not None:
            _log.info("%d workers were busy %.0f %%", self._count, 100 * self.utilisation)
            self._crew.close()
            self._crew = None

    def _present_crew(self) -> "_Crew":
        if self._crew is None:
            kind = self._ray.remote(num_cpus=self._options.cpus, num_gpus=self._gpus)(_Actor)
            start = partial(kind.remote, self._make_tools)
            self._crew = _Crew(self._ray, start, self._count, self._options.patience)
        return self._crew


class _Crew:
    """Workers, what they are at, and what waits for them."""

    def __init__(self, ray: Any, start: Callable[[], Any], count: int, patience: float) -> None:
        self._ray = ray
        self._start_actor = start
        self._patience = patience
        self._count = count
        self._began = time.monotonic()
        self._busy = 0.0
        self._started = 0
        self._stillborn = 0
        self._ever_ready = False
        self._waiting: deque[Work] = deque()
        self._reports: queue.Queue[Report | Exception] = queue.Queue()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._workers: list[_Worker] = []
        for _ in range(count):
            self._start()
        threading.Thread(target=self._listen, name="fabricbo hears", daemon=True).start()

    @property
    def has_report(self) -> bool:
        return not self._reports.empty()

    @property
    def utilisation(self) -> float:
        with self._lock:
            now = time.monotonic()
            going = sum(now - one.since for one in self._workers if one.work is not None)
            alive = max(now - self._began, 1e-9) * self._count
            return min(1.0, (self._busy + going) / alive)

    def submit(self, work: Work) -> None:
        with self._lock:
            self._waiting.append(work)
            self._hand_out()

    def take(self) -> Report:
        while True:
            try:
                found = self._reports.get(timeout=1.0)  # so that Ctrl-C is heard on Windows, too
            except queue.Empty:
                continue
            if isinstance(found, Exception):
                raise found
            return found

    def free_actor(self) -> Any:
        with self._lock:
            return min(self._workers, key=lambda one: (one.loading, one.work is not None)).actor

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            for worker in self._workers:
                self._ray.kill(worker.actor)
            self._workers.clear()

    def _start(self) -> None:
        self._started += 1
        actor = self._start_actor()
        self._workers.append(_Worker(self._started, actor, deque([actor.load.remote()])))

    def _hand_out(self) -> None:
        free = (one for one in self._workers if one.work is None and not one.loading)
        for worker in free:
            if not self._waiting:
                return
            work = self._waiting.popleft()
            worker.work, worker.since = work, time.monotonic()
            # Both at once: it goes on to score while its images are under way.
            worker.calls.extend([worker.actor.begin.remote(work), worker.actor.go_on.remote()])

    def _listen(self) -> None:
        said = time.monotonic()
        while not self._closed.is_set():
            try:
                self._hear()
            except Exception as error:
                if not self._closed.is_set():  # else its workers have just been ended
                    self._reports.put(error)
                return
            if all(one.loading for one in self._workers) and time.monotonic() - said > _SAY_WAITING:
                has = self._ray.cluster_resources()
                _log.warning("no worker is ready yet; the cluster has %s", has)
                said = time.monotonic()

    def _hear(self) -> None:
        """Wait a little for an answer of any worker, and take it in."""
        with self._lock:
            calls = {one.calls[0]: one for one in self._workers if one.calls}
        if calls:
            ready, _ = self._ray.wait(list(calls), num_returns=1, timeout=_LOOK)
        else:
            ready = []
            time.sleep(_LOOK)
        for call in ready:
            answer = self._answer(call)
            with self._lock:
                self._take_in(calls[call], answer)
        with self._lock:
            self._give_up_late()
            self._hand_out()

    def _answer(self, call: Any) -> Any:
        """Return what a worker said, or that it died."""
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from error
        except self._ray.exceptions.RayError as error:
            return error

    def _take_in(self, worker: _Worker, answer: Any) -> None:
        if isinstance(answer, self._ray.exceptions.RayError):
            self._lost(worker, answer)
            return
        worker.calls.popleft()
        if worker.loading:
            worker.loading, self._stillborn, self._ever_ready = False, 0, True
        elif isinstance(answer, Drawn):
            self._reports.put(replace(answer, worker=worker.name))
        elif answer is not None:
            self._reports.put(answer)
        if not worker.calls and worker.work is not None:
            self._busy += time.monotonic() - worker.since
            worker.work = None

    def _lost(self, worker: _Worker, error: Exception) -> None:
        """Replace a worker that died."""
        self._stillborn += worker.loading
        if self._stillborn >= (_MOST_LOST if self._ever_ready else _MOST_STILLBORN):
            raise ExecutorError(f"workers die before they are ready: {_first_line(error)}")
        self._replace(worker, f"{worker.name} died: {_first_line(error)}")

    def _replace(self, worker: _Worker, reason: str) -> None:
        self._workers.remove(worker)
        self._start()
        if worker.work is not None:
            self._busy += time.monotonic() - worker.since
            self._reports.put(Crashed(worker.work.key, reason))

    def _give_up_late(self) -> None:
        """Replace workers that have been at one piece of work for too long."""
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.work is not None and now - worker.since > self._patience:
                self._ray.kill(worker.actor)
                said = f"{worker.name} has not answered for {self._patience:g} s"
                self._replace(worker, said)


def _room(has: Mapping[str, float], options: RayOptions) -> tuple[float, int]:
    """Return how many GPUs each worker gets, and how many workers there are to be.

    Raises:
        ExecutorError: there is no room for one.
    """
    gpus = (1.0 if has.get("GPU") else 0.0) if options.gpus is None else options.gpus
    fit = [int(has.get("CPU", 0) // options.cpus)] if options.cpus else []
    fit += [int(has.get("GPU", 0) // gpus)] if gpus else []
    room = min(fit, default=1)
    if options.workers is None and room < 1:
        raise ExecutorError(
            f"executor: a worker needs {options.cpus:g} CPUs and {gpus:g} GPUs, and the cluster "
            f"has {has.get('CPU', 0):g} and {has.get('GPU', 0):g}"
        )
    return gpus, options.workers or room


def _cause(error: Any) -> Exception:
    """Return what a worker raised, as it raised it."""
    return error.cause if isinstance(error.cause, Exception) else Exception(str(error))


def _connect(address: str | None) -> Any:
    """Return Ray, connected: to a cluster that is there, or to one of this machine alone."""
    if address is None:
        # Some of Ray's ports can be reached from outside: nobody without this token uses them.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ExecutorError(f"executor: no Ray cluster at {address}: {error}") from error
    _keep_off_stdout()
    return ray


def _keep_off_stdout() -> None:
    """Have Ray's own words about dead workers logged: it prints them between our results."""
    from ray._private import worker

    # There is no public way: `log_to_driver` is about the workers' output only.
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = _log_lines  # type: ignore[assignment]


def _log_lines(data: Mapping[str, Any], **_more: object) -> None:
    for line in data.get("lines", ()):
        _log.info("ray: %s", line)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
