"""Ctrl-C: once finishes what is in flight, twice stops at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Asked = Callable[[], bool]
"""Whether somebody has pressed Ctrl-C."""


@contextmanager
def finishing(tell: Callable[[], None]) -> Iterator[Asked]:
    """Have the first Ctrl-C noted, and the second one raise `KeyboardInterrupt`, as any does else.

    Args:
        tell: called after the first, by a thread: where a signal comes in the middle of a print,
            its handler must not print.
    """
    asked, wake = threading.Event(), threading.Event()
    before = signal.getsignal(signal.SIGINT)
    deaf = threading.current_thread() is not threading.main_thread()  # the others get no signals
    if deaf or before is signal.SIG_IGN:  # as in the background of a shell
        yield asked.is_set
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        asked.set()
        wake.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def watch() -> None:
        wake.wait()
        if asked.is_set():
            tell()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    signal.signal(signal.SIGINT, note)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
        wake.set()
        watcher.join()
