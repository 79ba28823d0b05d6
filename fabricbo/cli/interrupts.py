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
        tell: called at the first.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield asked.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def note(_signal: int, _frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        tell()

    ignored = before is signal.SIG_IGN  # in the background of a shell
    if not ignored:
        signal.signal(signal.SIGINT, note)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
