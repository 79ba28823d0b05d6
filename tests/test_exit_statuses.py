"""What commands end with, each through a real process, and what goes where on stderr."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabricbo.cli.statuses import Status, status_of
from fabricbo.executors import ExecutorError
from fabricbo.study.errors import DatabaseGoneError, StoreWriteError
from tests.fakes import fake_study
from tests.test_driver import holder

COMMAND = [sys.executable, "-m", "fabricbo"]
FAKED = """
import sys, time
from fabricbo import compose
from fabricbo.cli import main
from fabricbo.study import Parts, Study
from tests.fakes import ColourSampler, UnitProposer, redness
seconds = float(sys.argv.pop(1))
def slow(images, prompt):
    if seconds < 0:
        raise ValueError("broken")
    time.sleep(seconds)
    return redness(images, prompt)
parts = Parts(UnitProposer(), ColourSampler(), {"redness": slow})
compose.resume_study = lambda folder, **_: Study.open(folder, parts)
main()
"""
"""The command itself, with parts that load in no time; its objective takes so many seconds."""


def faked(seconds: float) -> list[str]:
    return [sys.executable, "-c", FAKED, str(seconds)]


def ended(*arguments: object, command: list[str] = COMMAND, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_done(tmp_path) -> None:
    assert ended("init", tmp_path / "cat.toml")[0] == Status.DONE


def test_wrong_input(tmp_path) -> None:
    assert ended("show", "nothing", "--storage", tmp_path)[0] == Status.WRONG


def test_something_left_to_mend(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.draw()
    study.close()
    next((study.folder / "images").glob("**/*.png")).unlink()
    assert ended("doctor", study.folder)[0] == Status.WRONG


def test_no_such_option() -> None:
    assert ended("list", "--nonsense")[0] == Status.USAGE


def test_three_failures(tmp_path) -> None:
    study = fake_study(tmp_path)
    status, said = ended("resume", study.folder, command=faked(-1))
    assert (status, "3 trials in a row failed" in said) == (Status.FAILURES, True)


def test_another_process_draws(tmp_path) -> None:
    study = fake_study(tmp_path)
    other = holder(study.folder)
    try:
        assert ended("resume", study.folder)[0] == Status.TRY_AGAIN
    finally:
        other.kill()
        other.wait()


def test_no_database(tmp_path) -> None:
    nowhere = "postgresql://127.0.0.1:1/art#cat"
    status, said = ended("status", nowhere, "--storage", tmp_path)
    assert (status, "127.0.0.1" in said) == (Status.TRY_AGAIN, True)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DatabaseGoneError("gone"), Status.TRY_AGAIN),
        (StoreWriteError("full"), Status.TRY_AGAIN),
        (ExecutorError("no workers"), Status.TRY_AGAIN),
        (OSError(errno.ENOSPC, "full"), Status.TRY_AGAIN),
        (FileNotFoundError(errno.ENOENT, "no such file"), Status.WRONG),
        (ValueError("wrong"), Status.WRONG),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_is_worth_another_try(error: Exception, status: Status) -> None:
    assert status_of(error) is status


STOPS = [
    pytest.param([signal.SIGTERM], 143, id="SIGTERM once"),
    pytest.param([signal.SIGTERM, signal.SIGINT], 130, id="SIGTERM, then Ctrl-C"),
    # Ctrl-C once and twice: also in test_cli, on a real pipeline.
    pytest.param([signal.SIGINT], 130, id="Ctrl-C once", marks=pytest.mark.slow),
    pytest.param([signal.SIGTERM] * 2, 143, id="SIGTERM twice", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("signals", "status"), STOPS)
def test_stopped_and_resumable(tmp_path, signals: list[int], status: int) -> None:
    """The first finishes the trial in flight, the second leaves it; log lines are JSON."""
    study = fake_study(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*faked(1.0), "--log-format", "json", "resume", str(study.folder), "--log", "jsonl"],
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 120
    while len(study.trials) < 2:
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.05)
    lines = []
    for number in signals:
        process.send_signal(number)
        while not any("stopping after" in line for line in lines):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
    lines += process.stderr.read().splitlines()
    assert process.wait(60) == status
    records = [json.loads(line) for line in lines]
    assert {record["study"] for record in records} == {"fake"}
    trials = [record for record in records if record.get("trial") == 0]
    assert trials[0]["message"].startswith("trial   0")
    assert re.fullmatch(r"20\d\d-\S+\+00:00", trials[0]["time"])
    assert (trials[0]["level"], trials[0]["logger"]) == ("info", "fabricbo.cli")
    assert "fabricbo resume" in records[-1]["message"]
    statuses = [trial.status for trial in study.trials]
    assert any(one.is_pending for one in statuses) == (len(signals) == 2)
    assert ended("resume", study.folder, command=faked(0))[0] == Status.DONE


def test_errors_are_log_lines_too(tmp_path) -> None:
    status, said = ended("show", "nothing", "--storage", tmp_path, FABRICBO_LOG="json")
    record = json.loads(said)
    assert status == record["status"] == Status.WRONG
    assert (record["level"], "no study" in record["message"]) == ("error", True)


def test_the_documentation_has_all_of_them() -> None:
    text = (Path(__file__).parents[1] / "docs" / "studies.md").read_text("utf-8")
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert listed == {int(status) for status in Status}
