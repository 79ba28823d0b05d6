"""What a rater types: single keys at a terminal, lines where something else feeds them.

Keys have the names that browsers give them (`ArrowLeft`, `Enter`, ` `), so that one table of
choices serves both.
"""

import queue
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable

STOP, UNDO_KEY = "q", "u"
_WORDS = {"quit": STOP, "stop": STOP, "undo": UNDO_KEY, "done": "Enter"}
_ARROWS = {"A": "ArrowUp", "B": "ArrowDown", "C": "ArrowRight", "D": "ArrowLeft"}
_WINDOWS = {"H": "ArrowUp", "P": "ArrowDown", "M": "ArrowRight", "K": "ArrowLeft"}
_ONE_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|[\x00\xe0][A-Z]|.", re.DOTALL)


def key_names(typed: str) -> list[str]:
    """Return the names of the keys that a terminal sent, one for each."""
    return [_key_name(one) for one in _ONE_KEY.findall(typed)]


def _key_name(sent: str) -> str:
    if len(sent) > 1:
        arrows = _ARROWS if sent[0] == "\x1b" else _WINDOWS
        return arrows.get(sent[-1], "Unknown")
    if sent in "\r\n":
        return "Enter"
    return STOP if sent == "\x04" else sent.lower()  # Ctrl-D ends as it does elsewhere


class Keyboard:
    """Single keys, without Enter; standard input is a terminal."""

    afterthought: float | None = None
    """Seconds to wait for an undo when all is answered; None: until a key comes."""
    single = True
    ahead = False

    def __init__(self) -> None:
        self._typed: deque[str] = deque()

    def read(self, seconds: float | None = None) -> str | None:
        """Return the next key; None if none came in so many seconds."""
        if not self._typed:
            self._typed.extend(key_names(_typed(seconds)))
        return self._typed.popleft() if self._typed else None

    def command(self, seconds: float | None) -> str | None:
        """Return an undo or a stop, if one comes; other keys answer nothing now and are lost."""
        key = self.read(seconds)
        return key if key in (STOP, UNDO_KEY) else None

    def forget(self) -> None:
        """Drop what was typed before the images could be seen."""
        self._typed.clear()
        while _typed(0):
            pass


class Lines:
    """One word a line, from a file or a program; its end is a stop."""

    afterthought: float | None = 0.5
    single = False

    def __init__(self, lines: Iterable[bytes]) -> None:
        """Begin to read, beside what else goes on: a pipe cannot be asked whether it has more."""
        self._queue: queue.Queue[str] = queue.Queue()
        self._next: str | None = None
        threading.Thread(target=self._fill, args=(lines,), daemon=True).start()

    @property
    def ahead(self) -> bool:
        """Whether something was said before it was asked: its time says nothing."""
        return self._next is not None or not self._queue.empty()

    def _fill(self, lines: Iterable[bytes]) -> None:
        try:
            for line in lines:
                word = line.decode(errors="replace").strip().lower()
                if word:
                    self._queue.put(_WORDS.get(word, word))
        finally:
            self._queue.put(STOP)

    def read(self, seconds: float | None = None) -> str | None:
        """Return the next word; None if none came in so many seconds."""
        self._look(seconds)
        found, self._next = self._next, None
        return found

    def command(self, seconds: float | None) -> str | None:
        """Return an undo or a stop, if it is next; an answer waits for its question."""
        if self._next is None:
            self._look(seconds)
        else:
            time.sleep(seconds or 0)
        return self.read() if self._next in (STOP, UNDO_KEY) else None

    def forget(self) -> None:
        """Drop nothing: a script says in advance what it means."""

    def _look(self, seconds: float | None) -> None:
        if self._next is None:
            try:
                self._next = self._queue.get(timeout=seconds)
            except queue.Empty:
                return
            if self._next == STOP:
                self._queue.put(STOP)  # whoever reads on is told again


Reader = Keyboard | Lines


def standard_reader() -> Reader:
    """Return keys where standard input is a terminal, else lines."""
    if sys.stdin.isatty():
        return Keyboard()
    # Unbuffered: a thread that waits in a buffer keeps its lock while the interpreter ends.
    return Lines(open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))


if sys.platform == "win32":
    import msvcrt

    def ask_terminal(_question: str, _end: str, _seconds: float) -> str:
        """Return nothing: consoles of Windows are asked through their own interface."""
        return ""

    def _typed(seconds: float | None) -> str:
        """Return what was typed; nothing if so many seconds passed without."""
        until = None if seconds is None else time.monotonic() + seconds
        while until is not None and not msvcrt.kbhit():
            if time.monotonic() >= until:
                return ""
            time.sleep(0.02)
        typed = msvcrt.getwch()
        if typed == "\x03":
            raise KeyboardInterrupt
        return typed + msvcrt.getwch() if typed in "\x00\xe0" else typed

else:
    import os
    import select
    import termios
    import tty

    def ask_terminal(question: str, end: str, seconds: float) -> str:
        """Send the terminal a question and return its answer, up to a character.

        Returns less, or nothing, where it does not come in time; what is not understood is dropped
        by terminals without a word.

        Args:
            question: a control sequence.
            end: the last character of the answer.
            seconds: how long to wait for it.
        """
        descriptor, until, answer = sys.stdin.fileno(), time.monotonic() + seconds, ""
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor, termios.TCSADRAIN)
            sys.stdout.write(question)
            sys.stdout.flush()
            while not answer.endswith(end):
                left = max(until - time.monotonic(), 0)
                if not select.select([descriptor], [], [], left)[0]:
                    break
                answer += os.read(descriptor, 1).decode(errors="replace")
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        return answer

    def _typed(seconds: float | None) -> str:
        """Return what was typed; nothing if so many seconds passed without.

        `click.getchar` waits for ever, and drops what was typed before it is called.
        """
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor, termios.TCSADRAIN)
            if not select.select([descriptor], [], [], seconds)[0]:
                return ""
            typed = os.read(descriptor, 32)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        return typed.decode(errors="replace") or "\x04"
