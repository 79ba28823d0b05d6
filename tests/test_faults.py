"""What goes wrong with disks, clocks, processes and networks: a clear error, and nothing lost."""

import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fabricbo.study import Parts, Study, StudyError, StudyInUseError, database, trial_rows
from fabricbo.study.database import StoreWriteError
from fabricbo.study.errors import DatabaseGoneError
from fabricbo.study.location import Location
from tests.fakes import ColourSampler, UnitProposer, fake_study, redness

PARTS = Parts(UnitProposer(), ColourSampler(), redness)


def outcomes(study: Study) -> list[tuple]:
    return [(t.action, t.seeds, t.score, t.images) for t in study.trials]


@pytest.fixture
def quiet(tmp_path) -> list[tuple]:
    study = fake_study(tmp_path / "quiet")
    study.run()
    return outcomes(study)


# Files


@pytest.mark.parametrize("seed", range(3))
def test_a_log_cut_off_anywhere_leaves_a_true_beginning(tmp_path, quiet, seed) -> None:
    study = fake_study(tmp_path)
    for _ in range(4):
        study.draw()
    before, log = study.trials, study.folder / "study.db-wal"
    size, rng = log.stat().st_size, random.Random(seed)
    for number in range(12):
        copy = tmp_path / f"copy {number}"
        shutil.copytree(study.folder, copy)
        (copy / "study.db-shm").unlink()
        with (copy / "study.db-wal").open("r+b") as file:
            if number % 2:
                file.truncate(rng.randrange(size))
            else:  # a page that never reached the disk
                file.seek(rng.randrange(size - 64))
                file.write(b"\0" * 64)
        again = Study.open(copy, PARTS)
        found = again.trials
        assert len(found) <= len(before)
        for now, then in zip(found, before, strict=False):
            assert (now.action, now.seeds) == (then.action, then.seeds)
            assert now.score in (None, then.score)
        again.run()
        assert outcomes(again) == quiet
        again.close()


LIMITED = """
import resource, sys
from pathlib import Path
from fabricbo.study import Study, StudyError
from tests.test_faults import PARTS
study = Study.open(Path(sys.argv[1]), PARTS)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    study.run()
except (StudyError, OSError) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("room", [50_000, 120_000, 160_000, 200_000])
def test_files_that_cannot_grow_stop_it_and_lose_nothing(tmp_path, quiet, room) -> None:
    study = fake_study(tmp_path)
    study.draw()
    first = study.trials[0]
    study.close()
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, str(study.folder), str(room)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    again = Study.open(study.folder, PARTS)
    assert again.trials[0] == first
    if room < 100_000:
        assert said, "the limit was never met"
        assert "study.db" in said or "images" in said
    again.run()
    assert outcomes(again) == quiet


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets us mount nothing: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_it_and_it_goes_on_when_there_is_room(small_disk, quiet) -> None:
    study = fake_study(small_disk)
    study.draw()
    filler = small_disk / "filler"
    with pytest.raises(OSError, match=r"."), filler.open("wb") as file:
        while True:
            file.write(b"x" * 1000)
            file.flush()
    with pytest.raises((StoreWriteError, OSError)) as told:
        study.run()
    assert "full" in str(told.value) or "space" in str(told.value)
    filler.unlink()
    assert not list(small_disk.rglob("*.part"))
    study.run()
    assert outcomes(study) == quiet
    study.close()


READER = """
import os, sys
from pathlib import Path
from fabricbo.study import Study, StudyError
from tests.test_faults import PARTS
Study.open(Path(sys.argv[2])).close()  # all is imported that lies where others may not look
if os.getuid() == 0:  # who may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
study = Study.open(Path(sys.argv[1]), PARTS)
print(len(study.trials), study.best().index)
try:
    study.run()
except (StudyError, OSError) as error:
    print(type(error).__name__, error)
"""


def test_a_folder_that_may_only_be_read_can_be_read(tmp_path, quiet) -> None:
    study = fake_study(tmp_path / "studies")
    study.run()
    best = study.best().index
    study.close()
    Study.open(study.folder).close()
    shared = Path(tmp_path / "studies")
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    for path in [shared, *shared.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = subprocess.run(
        [sys.executable, "-c", READER, str(study.folder), str(tmp_path / "quiet" / "fake")],
        capture_output=True,
        text=True,
        check=False,
    )
    for path in [shared, *shared.rglob("*")]:
        path.chmod(0o755)
    lines = done.stdout.splitlines()
    assert lines[:1] == [f"7 {best}"], done.stderr
    assert "StoreWriteError" in lines[1] or "PermissionError" in lines[1]


# Clocks


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_a_clock_that_jumps_changes_nothing(tmp_path, quiet, monkeypatch, jump) -> None:
    class Clock(datetime):
        calls = 0

        @classmethod
        def now(cls, zone=None):
            cls.calls += 1
            return datetime.now(zone) + jump * cls.calls / 100

    monkeypatch.setattr(trial_rows, "datetime", Clock)
    study = fake_study(tmp_path)
    study.run()
    assert Clock.calls > 20
    assert outcomes(study) == quiet
    assert [event.trial for event in study.events] == sorted(e.trial for e in study.events)
    assert outcomes(Study.open(study.folder)) == quiet


# Processes that stand still

SLOW = """
import sys, time
from pathlib import Path
from fabricbo.study import Parts, Study
from tests.fakes import UnitProposer, redness
from tests.test_ray_kills import Slow
study = Study.open(Path(sys.argv[1]), Parts(UnitProposer(), Slow(), redness))
study.run(lambda trial: print(trial.index, flush=True))
"""


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("store_kind")
def test_a_driver_that_stands_still_is_still_the_driver(tmp_path, quiet, seconds) -> None:
    study = fake_study(tmp_path)
    study.close()
    driver = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(study.folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert driver.stdout.readline().strip() == "0"
        driver.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        other = Study.open(study.folder, PARTS)
        with pytest.raises(StudyInUseError, match=str(driver.pid)):
            other.run()
        driver.send_signal(signal.SIGCONT)
        assert driver.wait(60) == 0
        assert outcomes(other) == quiet
    finally:
        driver.kill()


# Networks


class Line:
    """Carries bytes between clients and PostgreSQL; can be cut, and swallow what a server says."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.down = False
        self.deaf_after: bytes | None = None
        self.before_cut: Iterator[int] = iter(())
        """How many messages of clients are carried before each cut that mends itself."""
        self.left = 0
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.open = True
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            pair = (client, socket.create_connection(("127.0.0.1", self.target)))
            self.pairs.append(pair)
            threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        raise OSError("closed")
                    if source is client:
                        server.sendall(data)
                        self._count()
                        if self.deaf_after is not None and self.deaf_after in data:
                            # The server does it, and nobody hears that it has.
                            self.deaf_after = None
                            server.recv(65536)
                            self.cuts += 1
                            raise OSError("cut")
                    else:
                        client.sendall(data)
        except (OSError, ValueError):
            client.close()
            server.close()

    def come_and_go(self, before_cut: Iterator[int]) -> None:
        """Cut the line again and again, after so many messages each time."""
        self.before_cut = before_cut
        self.left = next(before_cut)

    def _count(self) -> None:
        """Cut the line for a moment when enough has been said; what was said has arrived."""
        self.left -= 1
        if self.left == 0:
            self.cut()
            time.sleep(0.05)
            self.left = next(self.before_cut)
            self.mend()

    def cut(self) -> None:
        """Break all connections, and let none be made."""
        self.down = True
        self.cuts += 1
        for one in (end for pair in self.pairs for end in pair):
            with suppress(OSError):  # it is closed already
                # Closing is not enough: what another thread waits for is not told to the peer.
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.pairs.clear()

    def mend(self) -> None:
        self.down = False

    def close(self) -> None:
        self.open = False
        self.cut()
        self.listener.close()


@pytest.fixture
def line(postgres):
    made = Line(postgres.port)
    yield made
    made.close()


@pytest.fixture
def remote(tmp_path, postgres, line, monkeypatch) -> Study:
    """A study whose database is at the other end of the line."""
    monkeypatch.setattr(database, "PAUSES", (0.05,) * 60)
    url = postgres.database_for(tmp_path).replace(f":{postgres.port}/", f":{line.port}/")
    study = fake_study(tmp_path / "remote", database=url)
    yield study
    study.close()


def test_a_commit_that_nobody_heard_of_is_not_done_twice(remote, line, quiet) -> None:
    def unheard(_trial) -> None:
        line.deaf_after = b"COMMIT"

    line.deaf_after = b"COMMIT"
    remote.run(unheard)
    assert line.cuts >= 5
    assert outcomes(remote) == quiet
    happened = [(event.trial, str(event.status)) for event in remote.events]
    steps = ("proposed", "running", "drawn", "done")
    assert happened == [(index, step) for index in range(7) for step in steps]


def test_a_network_that_comes_and_goes_loses_nothing(tmp_path, remote, line) -> None:
    quiet = fake_study(tmp_path / "calm", name="many", trials=20)
    quiet.run()
    url = remote.settings.database
    study = fake_study(tmp_path / "far", name="many", trials=20, database=url)
    rng = random.Random(1)
    # By messages and not by the clock: a slow machine must get through a transaction now and then.
    line.come_and_go(iter(lambda: rng.randrange(10, 120), None))
    study.run()
    assert line.cuts > 10
    assert outcomes(study) == outcomes(quiet)
    assert len(study.events) == 41 * 4
    study.close()


def test_a_database_that_is_gone_is_said_and_what_was_stored_is_there(
    remote, line, quiet, monkeypatch
) -> None:
    remote.draw()
    monkeypatch.setattr(database, "PAUSES", (0.01, 0.01))
    line.cut()
    with pytest.raises(DatabaseGoneError, match="kept"):
        remote.run()
    with pytest.raises(DatabaseGoneError):
        Study.open(remote.folder)
    line.mend()
    remote.run()
    assert outcomes(remote) == quiet


def test_a_worker_that_comes_back_from_the_dead_stores_nothing(tmp_path) -> None:
    study = fake_study(tmp_path)
    first = study.claim(study.ask())
    second = study.claim(study.trials[0])
    pictures = ColourSampler()(first.action, "a cat", first.seeds)
    with pytest.raises(StudyError, match="taken over: this is attempt 1, and attempt 2 has begun"):
        study.tell(first, pictures, [1.0, 2.0])
    study.tell(second, pictures, [3.0, 4.0])
    assert study.trials[0].score.values == (3.0, 4.0)


def test_location_names_the_database_and_never_a_password(tmp_path) -> None:
    location = Location(tmp_path, "postgresql+psycopg://ada@db/art", "fabricbo_cat")
    assert str(location) == "postgresql+psycopg://ada@db/art (fabricbo_cat)"
