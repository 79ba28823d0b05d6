"""`fabricbo status`: how a study is going, once or as long as somebody looks."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.text import Text

from fabricbo.cli.answers.status import status_told
from fabricbo.cli.consoles import results
from fabricbo.cli.errors import told
from fabricbo.cli.reading import locate
from fabricbo.cli.status_text import status_lines, summary
from fabricbo.study import Study
from fabricbo.study.status import StudyState, StudyStatus, read_status

PAUSE = 1.0
"""Seconds between two looks."""
_SHARE = 10
"""Of the time, one part is spent looking at most: large studies are looked at less often."""

_console = results()


def print_status(name: str, storage: Path, *, follow: bool, as_json: bool) -> None:
    """Say how a study is going; with `follow`, until all is done or Ctrl-C."""
    with told():
        folder = locate(name, storage)
        looks = _looks(folder) if follow else iter([read_status(Study.open(folder))])
        if as_json:
            _print_json(looks)
        elif follow and _console.is_terminal and not _console.is_dumb_terminal:
            _live(looks)
        elif follow:
            _print_changes(looks)
        else:
            for line in status_lines(next(looks)):
                _console.print(line, soft_wrap=True)


def _looks(folder: Path) -> Iterator[StudyStatus]:
    """Look again and again, the last time once all is done."""
    study = Study.open(folder)
    while True:
        began = time.monotonic()
        found = read_status(study)
        took = time.monotonic() - began
        yield found
        if found.state is StudyState.COMPLETE:
            return
        time.sleep(max(PAUSE, _SHARE * took))
        if not os.access(folder, os.W_OK):
            # Where nothing can be written, a store is read as if it never changed.
            study.close()
            study = Study.open(folder)


def _print_json(looks: Iterator[StudyStatus]) -> None:
    """Print an object whenever something but the time has changed."""
    known = None
    for found in looks:
        if (now := _essence(found)) != known:
            print(status_told(found).to_json(), flush=True)
        known = now


def _print_changes(looks: Iterator[StudyStatus]) -> None:
    """Print a line whenever something but the time has changed."""
    known = None
    for found in looks:
        if (now := _essence(found)) != known:
            when = found.taken.strftime("%H:%M:%S")
            print(f"{when} {summary(found)}", flush=True)
        known = now


def _essence(status: StudyStatus) -> object:
    going = tuple((one.trial, one.attempt, one.status) for one in status.going)
    counts = tuple(status.counts.items())
    return status.state, status.driver, status.round, counts, going, status.questions, status.leader


def _live(looks: Iterator[StudyStatus]) -> None:
    with Live(console=_console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        for found in looks:
            lines = status_lines(found)
            live.update(Group(*(Text(line) for line in lines)), refresh=True)
