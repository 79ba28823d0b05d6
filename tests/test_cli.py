"""The command line as its users call it, on a real pipeline of a few channels."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.study import Study
from tests.answered import answered
from tests.tiny import tiny_pipeline

OBJECTIVE = """
import os, time

def brightness(images, prompt):
    time.sleep(float(os.environ.get("SCORE_SECONDS", 0)))
    return [sum(image.convert("L").getdata()) / 255 / image.width / image.height
            for image in images]

def broken(images, prompt):
    raise ValueError("no [/b] markup [red] :smile:")
"""
STUDY = """
prompt = "a cat"
rounds = 2
trials = 2
images = 2
checkpoint = "tiny"
safety = false
[space]
denoising_steps = 2
guidance_scale = 2.0
[pool]
folder = "pool"
grow_liked = 1
[objective]
name = "score.py:brightness"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, a pool and an objective."""
    folder = tmp_path_factory.mktemp("place")
    tiny_pipeline(folder / "tokens").save_pretrained(folder / "tiny")
    for name, colour in {"red": "red", "liked/green": "green", "disliked/blue": "blue"}.items():
        file = folder / "pool" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), colour).save(file)
    (folder / "score.py").write_text(OBJECTIVE)
    return folder


def study_file(place: Path, name: str, text: str = STUDY) -> Path:
    file = place / f"{name}.toml"
    file.write_text(text)
    return file


def call(*arguments: object, place: Path | None = None) -> tuple[int, str, str]:
    storage = [] if place is None else ["--storage", str(place / "studies")]
    result = CliRunner().invoke(app, [str(a) for a in arguments] + storage)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_run_show_list_report_resume(place: Path) -> None:
    file = study_file(place, "whole")
    status, out, err = call("run", file, "--json")
    assert status == 0
    assert f"objective {place / 'score.py'}:brightness is code, and is run" in err
    outcome = answered("run", out)
    assert [Path(file).is_file() for file in outcome["best_images"]] == [True, True]
    assert (outcome["trials"], outcome["rounds"]) == (5, 2)
    assert outcome["best"] >= outcome["baseline"]
    assert outcome["heldout_standard_error"] >= 0
    assert Path(outcome["report"]).read_text().startswith("<!doctype html>")

    _, out, _ = call("list", "--json", place=place)
    row = next(r for r in json.loads(out)["studies"] if r["name"] == "whole")
    assert row["best"] == outcome["best"]
    _, out, _ = call("show", "whole", "--json", place=place)
    shown = json.loads(out)
    assert shown["best_trial"] in range(5)
    assert shown["trials"][0]["source"] == "hand"
    hand = shown["trials"][0]["action"]
    assert (len(hand["liked"]), len(hand["disliked"])) == (2, 1)
    status, out, _ = call("show", "whole", place=place)
    assert status == 0
    assert "fresh seeds" in out
    assert "whole" in call("list", place=place)[1]
    assert Path(call("report", outcome["study"])[1].replace("\n", "")).is_file()

    status, out, _ = call("resume", "whole", "--json", place=place)
    assert status == 0
    again = answered("resume", out)
    assert {k: again[k] for k in ("trials", "best", "heldout_best")} == {
        k: outcome[k] for k in ("trials", "best", "heldout_best")
    }

    status, _, err = call("run", file)
    assert status == 1
    assert "resume" in err


def test_init_writes_a_file_that_is_read_and_keeps_existing_ones(tmp_path: Path) -> None:
    from fabricbo.study.file import read_study_file

    file = tmp_path / "cat.toml"
    assert call("init", file)[0] == 0
    assert read_study_file(file).name == "cat"
    file.write_text("mine")
    status, _, err = call("init", file)
    assert status == 1
    assert "exists" in err
    assert file.read_text() == "mine"


BAD = {
    "start after end": (("[space]", "[space]\nfeedback_start = 0.7\nfeedback_end = 0.4"), "0.7"),
    "negative weight": (("[space]", "[space]\nmax_weight = -1"), "max_weight"),
    "infinite weight": (("[space]", "[space]\nmax_weight = inf"), "max_weight"),
    "unknown key": (("rounds", "runds"), "runds"),
    "unknown parameter": (("[space]", "[space]\nweigth = 1"), "weigth"),
    "wrong type": (("rounds = 2", 'rounds = "two"'), "rounds"),
    "no such pool": (('"pool"', '"nowhere"'), "nowhere"),
    "no such checkpoint": (('"tiny"', '"nothing here"'), "checkpoint"),
    "no such function": (("brightness", "brightnes"), "brightnes"),
    "no such file": (("score.py", "scores.py"), "scores.py"),
    "unknown objective": (("score.py:brightness", "nonsense"), "nonsense"),
    "no prompt": (('prompt = "a cat"', ""), "prompt"),
    "no TOML": (("rounds =", "rounds"), "TOML"),
}


@pytest.mark.parametrize(("change", "named"), BAD.values(), ids=BAD)
def test_bad_study_file_is_told_so_before_anything_is_drawn(place, change, named) -> None:
    file = study_file(place, "bad", STUDY.replace(*change, 1))
    status, _, err = call("run", file)
    assert status == 1
    said, _, complaint = err.partition("error: ")
    assert named in complaint
    assert "Traceback" not in said
    assert not (place / "studies" / "bad").exists()


def test_roles_without_references(place: Path) -> None:
    text = STUDY.replace('folder = "pool"\ngrow_liked = 1', "").replace(
        "[space]", "[space]\nroles = true"
    )
    status, _, err = call("run", study_file(place, "roles", text))
    assert status == 1
    assert "space.roles" in err


@pytest.mark.parametrize("content", [b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_unreadable_reference(place: Path, content: bytes) -> None:
    bad = place / "badpool"
    bad.mkdir(exist_ok=True)
    (bad / "x.png").write_bytes(content)
    text = STUDY.replace('"pool"', '"badpool"')
    status, _, err = call("run", study_file(place, "unreadable", text))
    assert status == 1
    assert "x.png" in err


def test_three_failures_stop_with_everything_kept(place: Path) -> None:
    file = study_file(place, "failing", STUDY.replace(":brightness", ":broken"))
    status, _, err = call("run", file)
    assert status == 3
    assert "broken raised ValueError: no [/b] markup [red] :smile:" in err.replace("\n", " ")
    assert len(Study.open(place / "studies" / "failing").trials) == 3
    assert (place / "studies" / "failing" / "report.html").is_file()
    _, out, _ = call("show", "failing", place=place)
    assert "no [/b] markup [red] :smile:" in out


def test_unknown_study(place: Path) -> None:
    status, _, err = call("show", "nothing", place=place)
    assert status == 1
    assert "no study 'nothing'" in err


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_and_resume(place: Path, presses: int) -> None:
    """Once finishes the trial in flight, twice leaves it pending; both can be resumed."""
    name = f"stopped-{presses}"
    file = study_file(place, name)
    command = [sys.executable, "-m", "fabricbo", "run", str(file)]
    environment = {**os.environ, "SCORE_SECONDS": "2"}
    # Where the tests run in the background of a shell, Ctrl-C is ignored and children inherit it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    folder = place / "studies" / name
    deadline = time.monotonic() + 90
    while not (folder / "study.db").exists() or len(Study.open(folder).trials) < 2:
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.05)
    err = ""
    for _ in range(presses):  # two at once would be one
        process.send_signal(signal.SIGINT)
        while "stopping after the trial in flight" not in err:
            line = process.stderr.readline()
            assert line, err
            err += line
    err += process.stderr.read()
    assert process.wait(60) == 130
    assert "fabricbo resume" in err
    statuses = [trial.status for trial in Study.open(folder).trials]
    assert any(status.is_pending for status in statuses) == (presses == 2)
    status, out, _ = call("resume", folder, "--json")
    assert status == 0
    assert json.loads(out)["trials"] == 5


def test_python_dash_m_and_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fabricbo", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("fabricbo 0.")


def test_a_study_that_people_judge_is_run_and_rated(place: Path) -> None:
    rating = '[rating]\nkind = "pairwise"\nquestions = 2\nrepeats = 0.0'
    file = study_file(place, "judged", STUDY.partition("[objective]")[0] + rating)
    fabricbo = [sys.executable, "-m", "fabricbo"]
    running = subprocess.Popen([*fabricbo, "run", str(file)], cwd=place, stderr=subprocess.PIPE)
    try:
        store = place / "studies" / "judged" / "study.db"
        for _ in range(600):
            if store.is_file():
                break
            time.sleep(0.1)
        rated = subprocess.run(
            [*fabricbo, "rate", "judged", "--name", "Ada"],
            cwd=place,
            input="left\n" * 4,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        _, told = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 0, told
    assert "Thank you" in rated.stdout
    assert b"people judge this study" in told
    study = Study.open(store.parent)
    assert len(study.preferences) == 4
    assert study.best() is not None
    assert (store.parent / "report.html").is_file()


def wait_until(true) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")


def test_a_server_with_a_worker_draws_and_takes_it_along_when_it_stops(place: Path) -> None:
    rating = '[rating]\nkind = "pairwise"\nquestions = 2'
    file = study_file(place, "served", STUDY.partition("[objective]")[0] + rating)
    fabricbo, folder = [sys.executable, "-m", "fabricbo"], place / "studies" / "served"
    made = subprocess.Popen([*fabricbo, "run", str(file)], cwd=place)
    wait_until((folder / "study.db").is_file)
    made.kill()
    made.wait()
    server = subprocess.Popen(
        [*fabricbo, "serve", "served", "--port", "0", "--with-worker", "--json"],
        cwd=place,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        owner = answered("serve", server.stdout.readline())["owner"]
        assert owner.startswith("http://127.0.0.1:")
        study = Study.open(folder)
        wait_until(lambda: len(study.ballots.questions()) >= 2)
        workers = f"resume {folder.relative_to(place)}"
        assert workers in running_commands()
    finally:
        server.terminate()
        server.wait(20)
    assert workers not in running_commands()


def running_commands() -> str:
    found = (file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists())
    return "\n".join(command.replace(b"\0", b" ").decode("utf-8", "replace") for command in found)
