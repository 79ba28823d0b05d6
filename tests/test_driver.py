"""One process at a time draws for a study."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fabricbo.rating.worker import Worker
from fabricbo.study import StudyInUseError
from fabricbo.study.driver import driving
from fabricbo.study.location import Location
from tests.fakes import fake_study
from tests.stores import sqlite_only
from tests.web_server import rated_study

pytestmark = pytest.mark.usefixtures("store_kind")  # on SQLite and on PostgreSQL

HOLD = "import sys, time; from pathlib import Path; from fabricbo.study.driver import driving\n"
HOLD += "from fabricbo.study.location import Location\n"
HOLD += "with driving(Location(Path(sys.argv[1]))): print('holding', flush=True); time.sleep(60)"


def holder(folder: Path) -> subprocess.Popen[str]:
    """Start a process that draws for a study."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    return process


def test_a_second_driver_is_refused_and_told_who_has_it(tmp_path) -> None:
    study = fake_study(tmp_path)
    other = holder(study.folder)
    try:
        with pytest.raises(StudyInUseError, match=f"process {other.pid} on .+, since 20"):
            study.run()
        assert study.trials == []
    finally:
        other.terminate()
        other.wait()
    assert study.run() is not None


@pytest.mark.parametrize("store_kind", ["postgres"], indirect=True)
def test_who_draws_for_its_namesake_in_another_database_is_somebody_else(tmp_path) -> None:
    study, namesake = (fake_study(tmp_path / name) for name in ("one", "other"))
    location = Location.of(namesake.folder)
    with driving(location):
        assert namesake.driver is not None
        assert study.driver is None
        assert study.run() is not None


def test_what_was_killed_holds_nothing(tmp_path) -> None:
    study = fake_study(tmp_path)
    other = holder(study.folder)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert study.run() is not None


def test_a_worker_is_a_driver_too(tmp_path) -> None:
    study = rated_study(tmp_path)
    enough = threading.Event()
    thread = threading.Thread(target=Worker(study).run, args=(enough.wait,))
    thread.start()
    try:
        until = time.monotonic() + 20
        while not study.trials and time.monotonic() < until:
            time.sleep(0.05)
        with pytest.raises(StudyInUseError, match=f"process {os.getpid()}"):
            Worker(study).run(lambda _seconds: True)
    finally:
        enough.set()
        thread.join(20)


@sqlite_only
def test_who_has_it_may_take_it_again(tmp_path) -> None:
    with driving(Location(tmp_path)):
        with driving(Location(tmp_path)):
            pass
        assert (tmp_path / "driver.json").exists()
    assert not (tmp_path / "driver.json").exists()


def test_the_command_says_so_before_it_loads_anything(tmp_path) -> None:
    study = fake_study(tmp_path)
    other = holder(study.folder)
    try:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "fabricbo", "resume", str(study.folder)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 75
        assert f"is being drawn for by process {other.pid}" in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
        assert time.monotonic() - began < 60
    finally:
        other.terminate()
        other.wait()
