"""What people see while something goes on for long: in terminals, and nowhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from fabricbo.cli.usual import remember_seconds, usual_seconds
from fabricbo.counted import Counter
from fabricbo.report.wording import duration

LONG = 2.0
"""Seconds from which on it is worth remembering how long something took."""


@contextmanager
def working(
    console: Console, what: str, key: str = "", *, usual: float | None = None
) -> Iterator[None]:
    """Show that something goes on, and the time left.

    Args:
        console: where people look.
        what: in words, such as `loading the model`.
        key: what is the same each time, if not the words alone: the name of the checkpoint.
        usual: seconds that it should take; None: what it took the last time.
    """
    if not console.is_terminal:
        yield
        return
    name = f"{what} {key}".strip()
    began = time.monotonic()
    with console.status(_Waiting(what, usual_seconds(name) if usual is None else usual)):
        yield
    took = time.monotonic() - began
    if usual is None and took >= LONG:
        remember_seconds(name, took)


class _Waiting:
    """Says each time it is drawn how long it has taken, and how long it may take yet."""

    def __init__(self, what: str, usual: float | None) -> None:
        self._what = what
        self._usual = usual
        self._began = time.monotonic()

    def __rich__(self) -> Text:
        spent = time.monotonic() - self._began
        return Text(waiting_text(self._what, spent, self._usual))


def waiting_text(what: str, spent: float, usual: float | None) -> str:
    """Say how long something has taken, and what is left of what it usually takes."""
    if spent < LONG and usual is None:
        return what
    said = f"{what}, {duration(spent)}"
    if usual is None:
        return said
    if spent > usual:
        return f"{said}, longer than the {duration(usual)} that it should take"
    return f"{said}, about {duration(usual - spent)} left"


@contextmanager
def counting(console: Console, what: str, unit: str) -> Iterator[Counter]:
    """Show how many pieces of something are done, and the time left; gone when it is over."""
    with pieces_bar(console, unit, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, total=total)
            advance(bar, done)

        yield tell


def pieces_bar(
    console: Console,
    unit: str,
    *,
    transient: bool = False,
    seconds_a_piece: float | None = None,
) -> Progress:
    """Return a bar for pieces of work.

    Args:
        console: where people look.
        unit: what they are, in the plural.
        transient: whether it goes away at the end.
        seconds_a_piece: how long one usually takes, if known before one is done.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        _Count(unit),
        TimeElapsedColumn(),
        _Left(seconds_a_piece),
        console=console,
        transient=transient,
        disable=not console.is_terminal,
    )


def advance(bar: Progress, done: float, description: str | None = None) -> None:
    """Note how much is done of the bar's only task."""
    for task in bar.tasks:
        at = task.elapsed or 0.0
        bar.update(task.id, completed=done, at=at, description=description or task.description)


class _Count(ProgressColumn):
    """Says how much is done of how much."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        return Text(f"{task.completed:.0f} of {task.total:.0f} {self._unit}")


class _Left(ProgressColumn):
    """Says how long it takes yet at the pace so far; unlike Rich's own it goes on counting down."""

    def __init__(self, seconds_a_piece: float | None) -> None:
        super().__init__()
        self._usual = seconds_a_piece

    def render(self, task: Task) -> Text:
        if task.total is None or task.finished:
            return Text("")
        begun_with = float(task.fields.get("begun_with", 0.0))
        left = seconds_left(
            left=task.total - task.completed,
            done=task.completed - begun_with,
            at=float(task.fields.get("at", 0.0)),
            now=task.elapsed or 0.0,
            usual=self._usual,
        )
        return Text("" if left is None else f"about {duration(left)} left")


def seconds_left(
    *, left: float, done: float, at: float, now: float, usual: float | None
) -> float | None:
    """Return how long the rest takes at the pace so far; None where nobody knows.

    Args:
        left: how much is to be done.
        done: how much has been.
        at: seconds from the beginning to when that was known.
        now: seconds since the beginning.
        usual: seconds that a piece takes, if known before one is done.
    """
    pace = at / done if done > 0 else usual
    if pace is None:
        return None
    # What stands still takes longer than was thought, and does not end before it is done.
    return max(left * pace - (now - at), (left - 1) * pace, 0.0)
