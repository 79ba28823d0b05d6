"""Ctrl-C, and the SIGTERM of schedulers: once finishes what is in flight, twice stops at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, but nobody is at the keyboard."""


class Asked:
    """Whether somebody has asked to stop, and how."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self._how: type[KeyboardInterrupt] | None = None

    def __call__(self) -> bool:
        """Tell whether somebody has."""
        return self._how is not None

    def note(self, number: int) -> None:
        """Take a signal in."""
        self._how = _kind(number)
        self.wake.set()

    def stop(self) -> None:
        """End here if somebody has asked.

        Raises:
            KeyboardInterrupt: somebody has.
        """
        if self._how is not None:
            raise self._how


@contextmanager
def finishing(tell: Callable[[], None]) -> Iterator[Asked]:
    """Have the first signal noted, and the second one raise, as any does else.

    Args:
        tell: called after the first, by a thread: where a signal comes in the middle of a print,
            its handler must not print.
    """
    asked = Asked()
    heard = _heard()
    if not heard:
        yield asked
        return

    def note(number: int, _frame: FrameType | None) -> None:
        asked.note(number)
        for each in heard:
            signal.signal(each, _end)

    def watch() -> None:
        asked.wake.wait()
        if asked():
            tell()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with _handled(dict.fromkeys(heard, note)):
        try:
            yield asked
        finally:
            asked.wake.set()
    watcher.join()


@contextmanager
def ending() -> Iterator[None]:
    """Have SIGTERM raise as Ctrl-C does, so that what is open is closed."""
    with _handled({number: _end for number in _heard() if number == signal.SIGTERM}):
        yield


def _heard() -> list[int]:
    """Return the signals that come here, and that nobody has had ignored."""
    if threading.current_thread() is not threading.main_thread():  # the others get none
        return []
    # Ctrl-C is ignored in the background of a shell; None is a handler that is not Python's.
    return [n for n in _SIGNALS if signal.getsignal(n) not in (signal.SIG_IGN, None)]


@contextmanager
def _handled(handlers: dict[int, Any]) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise _kind(number)


def _kind(number: int) -> type[KeyboardInterrupt]:
    return Terminated if number == signal.SIGTERM else KeyboardInterrupt
