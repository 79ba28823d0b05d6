"""The way to one logger: a thread, what waits for it, and a note of what it has taken in."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fabricbo.events import StudyEvent
from fabricbo.protocols import Logger

PATIENCE = 300.0
"""Seconds that a logger may take for one event, before it is left out."""
_Item = tuple[str, Callable[[], StudyEvent]]
_log = logging.getLogger(__name__)


class Channel:
    """Tells one logger, in the order of `put`, until it raises or hangs."""

    def __init__(self, name: str, logger: Logger, folder: Path) -> None:
        """Take a logger.

        Args:
            name: the same when the study is resumed.
            logger: who is told.
            folder: where it is noted what was.
        """
        self._name = name
        self._logger = logger
        self._note = folder / f"{name}.txt"
        self._known: set[str] | None = None
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._since: float | None = None
        self._left_out = False

    def put(self, key: str, make: Callable[[], StudyEvent]) -> None:
        """Have the logger told, unless it was.

        Args:
            key: tells this event from others, also of earlier processes; empty: it always counts.
            make: makes the event, in the logger's thread.
        """
        if self._left_out or self._hangs():
            return
        if self._known is None:
            self._known = self._read()
        if key in self._known:
            return
        if key:
            self._known.add(key)
        if self._thread is None:
            # A daemon, so that one that hangs does not keep the process from ending.
            self._thread = threading.Thread(
                target=self._run, name=f"fabricbo logs to {self._name}", daemon=True
            )
            self._thread.start()
        self._items.put((key, make))

    def close(self, patience: float) -> None:
        """Wait until all is taken in, but not for longer than that many seconds."""
        if self._thread is None:
            return
        self._items.put(None)
        self._thread.join(patience)
        if self._thread.is_alive() and not self._left_out:
            self._leave_out(f"has not taken in all within {patience:g} s")
        self._thread, self._known = None, None

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            key, make = item
            self._since = time.monotonic()
            try:
                self._logger.log(make())
                self._write(key)
            except BaseException as error:  # whatever it is, the study goes on
                self._leave_out(f"raised {type(error).__name__}: {error}")
            self._since = None
            if self._left_out:
                return

    def _hangs(self) -> bool:
        since = self._since
        if since is not None and time.monotonic() - since > PATIENCE:
            self._leave_out(f"has not answered for {PATIENCE:g} s")
        return self._left_out

    def _leave_out(self, why: str) -> None:
        if not self._left_out:
            self._left_out = True
            _log.warning(
                "logger %s %s; it is left out from now on, and told the rest when the study is "
                "resumed",
                self._name,
                why,
            )

    def _read(self) -> set[str]:
        try:
            return set(self._note.read_text("utf-8").splitlines())
        except FileNotFoundError:
            return set()
        except (OSError, ValueError) as error:
            _log.warning("logger %s is told all again: %s", self._name, error)
            return set()

    def _write(self, key: str) -> None:
        if key:
            self._note.parent.mkdir(exist_ok=True)
            with self._note.open("a", encoding="utf-8") as file:
                file.write(f"{key}\n")
