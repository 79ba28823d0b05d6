"""What people see while something takes long: in terminals, with the time left, and no colours."""

import io
import json
import os
import re
import sys
from pathlib import Path

import pexpect
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from fabricbo.cli import installing, thumbnails, usual
from fabricbo.cli.app import app
from fabricbo.cli.progress import counting, seconds_left, waiting_text, working
from fabricbo.counted import counted
from fabricbo.rating import terminal_images
from fabricbo.upkeep.archive import pack, unpack
from fabricbo.upkeep.checks import Check
from tests.fakes import fake_study
from tests.files import file_of
from tests.test_exit_statuses import faked


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches" / "fabricbo" / "seconds.json"


def console(*, terminal: bool, **options) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, **options)


def test_pieces_are_counted_as_they_are_done() -> None:
    told: list[tuple[int, int]] = []
    for _ in counted("abc", lambda *how: told.append(how)):
        assert told[-1][0] < 3
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_packing_and_unpacking_tell_how_far_they_are(tmp_path) -> None:
    study = fake_study(tmp_path / "here")
    study.draw()
    packed: list[tuple[int, int]] = []
    number = pack(study.folder, tmp_path / "fake.zip", lambda *how: packed.append(how))
    assert packed[-1] == (number, number)
    unpacked: list[tuple[int, int]] = []
    unpack(tmp_path / "fake.zip", tmp_path / "there", None, lambda *how: unpacked.append(how))
    assert unpacked[-1] == (number + 1, number + 1)  # the store is one


@pytest.mark.parametrize(
    ("spent", "known", "said"),
    [
        (1.0, None, "loading"),
        (12.0, None, "loading, 12 s"),
        (12.0, 20.0, "loading, 12 s, about 8.0 s left"),
        (0.0, 20.0, "loading, 0.0 s, about 20 s left"),
        (21.0, 20.0, "loading, 21 s, longer than the 20 s that it should take"),
    ],
)
def test_waiting_says_what_is_left_where_that_is_known(spent, known, said: str) -> None:
    assert waiting_text("loading", spent, known) == said


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"left": 5, "done": 0, "at": 0, "now": 3, "usual": None}, None),
        ({"left": 5, "done": 0, "at": 0, "now": 3, "usual": 10}, 47),
        ({"left": 4, "done": 2, "at": 20, "now": 20, "usual": 99}, 40),
        ({"left": 4, "done": 2, "at": 20, "now": 27, "usual": None}, 33),
        ({"left": 4, "done": 2, "at": 20, "now": 1000, "usual": None}, 30),  # it stands still
    ],
)
def test_time_left_follows_the_pace_and_counts_down(known, expected: float | None) -> None:
    assert seconds_left(**known) == expected


def test_nothing_is_shown_or_remembered_where_nobody_looks(caches, monkeypatch) -> None:
    monkeypatch.setattr("fabricbo.cli.progress.LONG", 0.0)
    quiet = console(terminal=False)
    with working(quiet, "loading"), counting(quiet, "packing", "images") as tell:
        tell(1, 2)
    assert quiet.file.getvalue() == ""
    assert not caches.exists()


def test_what_took_long_is_remembered_by_what_it_was(caches, monkeypatch) -> None:
    monkeypatch.setattr("fabricbo.cli.progress.LONG", 0.0)
    loud = console(terminal=True)
    with working(loud, "loading", "demo"):
        pass
    with pytest.raises(ZeroDivisionError), working(loud, "loading", "broken"):
        raise ZeroDivisionError
    assert [*json.loads(caches.read_text())] == ["loading demo"]
    assert usual.usual_seconds("loading demo") is not None
    assert usual.usual_seconds("loading other") is None
    assert "loading" in loud.file.getvalue()


@pytest.mark.parametrize("text", ["", "[]", '{"loading demo": "long"}', '{"a": null}'])
def test_what_is_remembered_may_be_damaged(caches, text: str) -> None:
    caches.parent.mkdir(parents=True)
    caches.write_text(text)
    assert usual.usual_seconds("loading demo") is None
    usual.remember_seconds("loading demo", 3.0)
    assert usual.usual_seconds("loading demo") == 3.0


def test_the_oldest_is_forgotten_and_a_folder_that_cannot_be_written_is_no_harm(
    caches, monkeypatch
) -> None:
    for number in range(usual.MOST + 1):
        usual.remember_seconds(f"loading {number}", 3.0)
    assert usual.usual_seconds("loading 0") is None
    assert usual.usual_seconds(f"loading {usual.MOST}") == 3.0
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    usual.remember_seconds("loading demo", 3.0)
    assert usual.usual_seconds("loading demo") is None


@pytest.mark.parametrize(
    ("protocol", "options", "drawn"),
    [
        ("kitty", {"no_color": True}, True),
        ("blocks", {"color_system": "256"}, True),
        ("blocks", {"color_system": "256", "no_color": True}, False),  # they are but colours
        ("blocks", {"color_system": None}, False),
    ],
)
def test_images_are_drawn_where_they_are_images(monkeypatch, protocol, options, drawn) -> None:
    monkeypatch.setattr(terminal_images, "known_protocol", lambda: protocol)
    monkeypatch.setattr(sys, "stdin", type("Typed", (), {"isatty": lambda _self: True})())
    found = terminal_images.drawer(console(terminal=True, **options))
    assert (found is not None) == drawn
    assert terminal_images.drawer(console(terminal=False, **options)) is None


def test_the_first_images_of_the_best_are_drawn_and_all_are_counted(tmp_path, monkeypatch) -> None:
    study = fake_study(tmp_path, images=6)
    study.run()
    widths: list[tuple[int, int]] = []

    def draw(_console: Console, image: Image.Image, columns: int) -> None:
        widths.append((image.width, columns))

    monkeypatch.setattr(thumbnails, "drawer", lambda _console: draw)
    thumbnails.draw_best(console(terminal=True), study)
    assert [columns for _, columns in widths] == [80]
    file_of(study, study.best().images[0]).unlink()
    loud = console(terminal=True)
    thumbnails.draw_best(loud, study)
    assert "cannot be shown" in loud.file.getvalue()
    assert len(widths) == 1
    lines = [*thumbnails.best_lines([f"{n}.png" for n in range(6)])]
    assert lines == ["  0.png", "  1.png", "  2.png", "  3.png", "  and 2 more"]


COLOUR = re.compile(r"\x1b\[[\d;]*(?:3[0-8]|4[0-8]|9[0-7])[\d;]*m")


@pytest.mark.parametrize("no_color", ["", "1"], ids=["colours", "no colours"])
@pytest.mark.parametrize("words", ["show STUDY", "doctor", "--help"])
def test_no_color(tmp_path, monkeypatch, words: str, no_color: str) -> None:
    study = fake_study(tmp_path)
    study.draw()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(installing, "check_installation", lambda _: [Check("a", "note", "b")])
    said = [str(study.folder) if word == "STUDY" else word for word in words.split()]
    done = CliRunner().invoke(app, said)
    assert done.exit_code == 0
    assert bool(COLOUR.search(done.stdout)) == (not no_color)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_run_in_a_terminal(tmp_path) -> None:
    """Trials are counted, the best is drawn by kitty's protocol, and its files are named."""
    study = fake_study(tmp_path, rounds=1, trials=1)
    command, *arguments = [*faked(0.0), "resume", str(study.folder)]
    environment = {**os.environ, "TERM": "xterm-kitty", "NO_COLOR": "1"}
    child = pexpect.spawn(
        command,
        arguments,
        env=environment,
        cwd=str(Path(__file__).parents[1]),
        dimensions=(40, 150),
        encoding="utf-8",
        timeout=100,
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    shown = child.before
    assert "2 of 2 trials" in shown
    assert "\x1b_Ga=T" in shown
    best = study.best()
    assert best is not None
    assert all(study.images.text(identity) in shown for identity in best.images)
    assert f"next: fabricbo show {study.folder}" in shown
    assert not COLOUR.search(shown)
