"""How long a large study takes to open: 2,500 trials with 10,000 events, and 10,000 votes.

    python -m experiments.bench_resume                   # on SQLite and PostgreSQL
    python -m experiments.bench_resume --databases sqlite --json
    python -m experiments.bench_resume --smoke

The studies are run and rated by the same code as any other, only that nobody waits for the disk
meanwhile. Then each is opened in a process of its own (imports apart, and the whole process as the
shell sees it), in a process that has opened it before, and shown by `fabricbo show`. PostgreSQL is
started for the purpose unless `--database` names one.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from experiments.bench_rating import make_study
from experiments.cluster.parts import Likeness, Painter, make_pool, make_settings
from fabricbo.proposers import RandomProposer
from fabricbo.study import Parts, Study
from tests import postgres

_PARTS = Parts(RandomProposer(), Painter(), Likeness())


def main() -> None:
    """Parse the command line, measure, print."""
    options = _options()
    if options.open is not None:
        print(json.dumps(_opened(options.open)))
        return
    trials, votes = (6, 6) if options.smoke else (2500, 10_000)
    found = {}
    with tempfile.TemporaryDirectory() as storage, _urls(options) as urls:
        for kind, url in urls.items():
            place = Path(storage) / kind
            with _nobody_waits_for_the_disk():
                studies = {
                    f"{trials} trials": _with_trials(place, trials, url),
                    f"{votes} votes": _with_votes(place, votes, url),
                }
            for name, folder in studies.items():
                found[f"{kind}, {name}"] = _measured(folder)
    if options.json:
        print(json.dumps(found))
        return
    for name, seconds in found.items():
        print(f"{name}: " + ", ".join(f"{what} {one:.2f} s" for what, one in seconds.items()))


def _with_trials(storage: Path, trials: int, url: str | None) -> Path:
    settings = make_settings(storage, "trials", "random", url)
    study = Study.create(settings, _PARTS, make_pool())
    study.run(stop=lambda: len(study.trials) >= trials)
    events = len(study.events)
    if events != 4 * trials:
        raise RuntimeError(f"expected {4 * trials} events, got {events}")
    study.close()
    return study.folder


def _with_votes(storage: Path, votes: int, url: str | None) -> Path:
    study = make_study(storage, votes, url)
    ballots, sides = study.ballots, cycle(("left", "right", "tie"))
    for number in range(10):
        ballots.add_rater(f"rater {number}")
    raters = cycle(rater.id for rater in ballots.raters())
    for question, rater, side in zip(ballots.questions(), raters, sides, strict=False):
        task = ballots.assign(question, rater, (0, 1))
        if task is not None:
            ballots.vote(task, side, f"key {question.id}", 1.0)
    if len(ballots.votes()) != votes:
        raise RuntimeError(f"expected {votes} votes, got {len(ballots.votes())}")
    study.close()
    return study.folder


def _measured(folder: Path) -> dict[str, float]:
    """Return seconds by what took them."""
    command = [sys.executable, "-m", "experiments.bench_resume", "--open", str(folder)]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    whole = time.perf_counter() - began
    fresh: dict[str, float] = json.loads(done.stdout)
    again = _opened(folder)
    show = [sys.executable, "-m", "fabricbo", "show", str(folder)]
    return {
        **fresh,
        "all but imports": sum(fresh.values()),
        "the whole process": whole,
        "all but imports, in a process that did so before": sum(again.values()),
        "fabricbo show": _seconds(lambda: subprocess.run(show, check=True, capture_output=True)),
    }


def _opened(folder: Path) -> dict[str, float]:
    """Open a study, read all that going on needs, and begin a trial; seconds by what took them."""
    began = time.perf_counter()
    study = Study.open(folder, _PARTS if folder.name == "trials" else None)
    found = {"open": time.perf_counter() - began}
    for what in ("trials", "events", "history"):
        found[what] = _seconds(lambda: getattr(study, what))  # noqa: B023
    if folder.name == "trials":
        found["first trial, proposed at random"] = _seconds(study.begin_next)
    study.close()
    return found


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _nobody_waits_for_the_disk() -> Iterator[None]:
    """Have SQLite and image files leave syncing to the system."""

    def hurry(connection: Any, *_: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    sa.event.listen(sa.Pool, "checkout", hurry)
    try:
        with mock.patch.object(os, "fsync", lambda _: None):
            yield
    finally:
        sa.event.remove(sa.Pool, "checkout", hurry)


@contextmanager
def _urls(options: argparse.Namespace) -> Iterator[dict[str, str | None]]:
    """Return the URL of each kind of database, None for a file."""
    kinds = ["sqlite"] if options.smoke else options.databases
    if options.database is not None or "postgres" not in kinds:
        yield {kind: options.database if kind == "postgres" else None for kind in kinds}
        return
    server = postgres.start()
    try:
        yield {kind: server.url() if kind == "postgres" else None for kind in kinds}
    finally:
        server.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--databases", type=lambda text: text.split(","), default=["sqlite", "postgres"]
    )
    parser.add_argument("--database", help="URL of a PostgreSQL database; else one is started")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="6 trials and 6 votes on SQLite")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
