"""Rating at a prompt: by a script, and with single keys in a real terminal."""

import base64
import io
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from fabricbo.rating.contact_sheet import contact_sheet, write_sheet
from fabricbo.rating.keyboard import Lines, key_names
from fabricbo.rating.screen import Screen
from fabricbo.rating.sitting import Sitting, known_rater, new_rater
from fabricbo.rating.terminal import rate_here
from fabricbo.rating.terminal_images import drawing, known_protocol
from fabricbo.study import Study
from tests.web_server import fill, rated_study

ARROW = {"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D"}


def ready(tmp_path: Path, kind: str = "pairwise", **rating) -> Study:
    study = rated_study(tmp_path, rating={"kind": kind, **rating})
    fill(study)
    return study


def say(study: Study, *words: str, name: str = "Ada") -> str:
    """Have somebody rate by a script, and return what was shown."""
    shown = io.StringIO()
    screen = Screen(Console(file=shown, width=200))
    rate_here(study, name, Lines([f"{word}\n".encode() for word in words]), screen)
    return shown.getvalue()


def stored(study: Study) -> list[str]:
    return [vote.answer for vote in study.ballots.votes()]


@pytest.mark.parametrize(
    ("kind", "words", "answers"),
    [
        ("pairwise", ["left", "2", "tie", "both-bad"], ["left", "right", "tie", "both-bad"]),
        ("best-of", ["2", "nine", "skip", "1"], ["2", "skip", "1"]),
        ("stars", ["5", "6", "1", "skip"], ["5", "1", "skip"]),
        (
            "like",
            ["l", "d", "liked,neither", "d", "done", "l", "u", "n", "n", "skip"],
            ["liked,disliked", "liked,neither", "disliked,neither", "neither,neither", "skip"],
        ),
    ],
    ids=["pairwise", "best-of", "stars", "like"],
)
def test_a_script_answers_all_kinds(tmp_path, kind, words, answers) -> None:
    study = ready(tmp_path, kind, options=3)
    shown = say(study, *words)
    assert stored(study) == answers
    assert f"You answered {len(answers)}; everything is kept." in shown
    assert len({vote.task.id for vote in study.ballots.votes()}) == len(answers)


def test_undo_stop_and_going_on(tmp_path) -> None:
    study = ready(tmp_path)
    assert "nothing to take back" in say(study, "u", "left", "right", "undo", "q", "left")
    first, second, undone = study.ballots.votes()
    assert (first.answer, second.answer, undone.answer) == ("left", "right", "undo")
    assert undone.task == second.task
    say(study, "tie")
    last = study.ballots.votes()[-1]
    assert (last.task, last.answer) == (second.task, "tie")
    assert [rater.name for rater in study.ballots.raters()] == ["Ada"]
    say(study, "left", name="Bob")
    assert [rater.name for rater in study.ballots.raters()] == ["Ada", "Bob"]


def test_every_question_is_asked_and_the_last_answer_can_be_taken_back(tmp_path) -> None:
    study = ready(tmp_path)
    planned = 6
    words = ["left"] * planned
    worker = threading.Thread(target=_keep_filled, args=(study, planned), daemon=True)
    worker.start()
    shown = say(study, *words, "u", "right")
    worker.join(30)
    assert "Thank you, that is all." in shown
    assert stored(study) == [*words, "undo", "right"]


def _keep_filled(study: Study, planned: int) -> None:
    until = time.monotonic() + 20
    while len(study.ballots.standing()) < planned and time.monotonic() < until:
        fill(study)
        time.sleep(0.05)


def test_who_waits_is_told_why_and_asked_when_there_is_something(tmp_path) -> None:
    study = rated_study(tmp_path)
    threading.Timer(0.5, fill, (study,)).start()
    shown = say(study, "left")
    assert "You were faster than the computer" in shown
    assert f"fabricbo resume {study.folder}" in shown
    assert stored(study) == ["left"]
    study.ballots.state = "paused"
    assert "A pause" in say(study)
    study.ballots.state = "stopped"
    assert "Thank you" in say(study)


def test_consent_comes_before_anything_is_stored(tmp_path) -> None:
    study = ready(tmp_path, instructions="look closely", consent="for science")
    shown = say(study, "n", "left")
    assert "look closely" in shown
    assert "for science" in shown
    assert study.ballots.raters() == []
    say(study, "y", "left")
    assert stored(study) == ["left"]
    assert "for science" not in say(study, "q")


def test_names_are_checked(tmp_path) -> None:
    study = ready(tmp_path)
    for _ in range(2):
        study.ballots.add_rater("Twin")
    for name, told in {" ": "1 to 100", "x" * 101: "1 to 100", "Twin": "2 raters"}.items():
        with pytest.raises(ValueError, match=told):
            known_rater(study, name)
    assert known_rater(study, " Ada ") is None
    ada = new_rater(study.ballots, " Ada ")
    assert known_rater(study, "Ada") == ada


def test_time_is_measured_once_images_are_shown(tmp_path) -> None:
    study, now = ready(tmp_path), [100.0]
    sitting = Sitting(study, new_rater(study.ballots, "Ada"), lambda: now[0])
    for spent, answer in ((2.5, "left"), (9000, "right")):
        sitting.next()
        sitting.shown()
        now[0] += spent
        sitting.answer(answer)
    sitting.next()
    sitting.answer("tie")
    assert [vote.seconds for vote in study.ballots.votes()] == [2.5, 3600, None]


def test_a_sheet_shows_images_in_the_order_of_the_task(tmp_path) -> None:
    study = ready(tmp_path)
    shown = say(study, "skip")
    vote = study.ballots.votes()[0]
    file = study.folder / "rating" / "sheet-1.png"
    assert f"sheet: {file}" in shown
    sheet = Image.open(file)
    images = [study.images.load(option.image) for option in vote.task.shown]
    for image, x in zip(images, (sheet.width // 4, sheet.width * 3 // 4), strict=True):
        assert sheet.getpixel((x, 40)) == image.getpixel((0, 0))


def test_sheets_are_numbered_and_never_overwritten(tmp_path) -> None:
    for count in (1, 2, 4, 5, 16):
        sheet = contact_sheet([Image.new("RGB", (64, 96), "red")] * count)
        assert sheet.width <= 4 * 600
    paths = [write_sheet(sheet, tmp_path / "sheets") for _ in range(3)]
    assert [path.name for path in paths] == ["sheet-1.png", "sheet-2.png", "sheet-3.png"]
    paths[0].unlink()
    assert write_sheet(sheet, tmp_path / "sheets").name == "sheet-4.png"


def test_sheet_fits_images_of_all_sizes() -> None:
    sizes = [(2000, 100), (100, 2000), (1, 1)]
    sheet = contact_sheet([Image.new("RGB", size) for size in sizes])
    assert max(sheet.size) < 2000


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ("\x1b[D\x1bOC", ["ArrowLeft", "ArrowRight"]),
        ("\xe0H\x00P", ["ArrowUp", "ArrowDown"]),
        ("U q\r\n", ["u", " ", "q", "Enter", "Enter"]),
        ("\x04", ["q"]),
        ("\x1b[5~\x1b", ["Unknown", "\x1b"]),
    ],
    ids=["posix", "windows", "letters", "end", "others"],
)
def test_keys_have_the_names_that_browsers_give(sent, names) -> None:
    assert key_names(sent) == names


def drawn(protocol: str, image: Image.Image, columns: int) -> str:
    """Return what a terminal is sent."""
    console = Console(file=io.StringIO(), width=40, force_terminal=True, color_system="truecolor")
    drawing(protocol)(console, image, columns)
    return console.file.getvalue()


def test_images_are_drawn_in_half_blocks() -> None:
    lines = drawn("blocks", Image.new("RGB", (64, 32), (255, 0, 0)), 20).strip().splitlines()
    assert len(lines) == 5  # ten rows of pixels, two a line
    assert all("255;0;0" in line for line in lines)


def test_kitty_is_sent_the_file_in_pieces() -> None:
    image = Image.effect_noise((128, 64), 50).convert("RGB")
    sent = drawn("kitty", image, 20)
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sent)
    assert len(pieces) > 1
    assert pieces[0][0] == "a=T,f=100,q=2,c=20,m=1"
    assert [about for about, _ in pieces[1:]] == ["m=1"] * (len(pieces) - 2) + ["m=0"]
    assert max(len(part) for _, part in pieces) <= 4096
    received = Image.open(io.BytesIO(base64.b64decode("".join(part for _, part in pieces))))
    assert received.tobytes() == image.tobytes()


def test_sixels_show_the_image() -> None:
    """Decoded here as DEC described them: bands of six rows, one colour after the other."""
    image = Image.new("RGB", (40, 24), (255, 0, 0))
    image.paste((0, 0, 255), (20, 0, 40, 24))
    sent = drawn("sixel", image, 4)
    body = re.fullmatch(r"\x1bP[\d;]*q(.*)\x1b\\\n", sent, re.DOTALL)
    assert body is not None
    shown = decoded(body[1])
    assert {at[0] for at in shown} == set(range(40))
    assert {at[1] for at in shown} >= set(range(24))
    assert shown[5, 5] == (100, 0, 0)
    assert shown[35, 20] == (0, 0, 100)


def decoded(sixels: str) -> dict[tuple[int, int], tuple[int, ...]]:
    """Return the colours in percent by place."""
    colours, pixels = {}, {}
    colour = column = top = 0
    token = r'"[\d;]+|#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|(\$)|(-)'
    for match in re.finditer(token, sixels):
        number, *parts, count, repeated, single, back, down = match.groups()
        if number is not None:
            colour = int(number)
            if parts[0] is not None:
                colours[colour] = tuple(map(int, parts))
        elif repeated or single:
            bits = ord(repeated or single) - 63
            for _ in range(int(count or 1)):
                for bit in range(6):
                    if bits >> bit & 1:
                        pixels[column, top + bit] = colours[colour]
                column += 1
        elif back or down:
            column, top = 0, top + (6 if down else 0)
    return pixels


@pytest.mark.parametrize(
    ("environment", "answer", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "", "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "", "kitty"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, "", "blocks"),
        ({"TERM": "xterm-256color"}, "\x1b[?62;4;22c", "sixel"),
        ({"TERM": "xterm-256color"}, "\x1b[?64;1;24c", "blocks"),
        ({"TERM": "dumb"}, "", "blocks"),
    ],
)
def test_terminals_tell_what_they_know(environment, answer, protocol) -> None:
    assert known_protocol(environment, lambda *_: answer) == protocol


def test_without_the_library_there_are_sheets_alone(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "rich_pixels", None)
    monkeypatch.setitem(sys.modules, "timg", None)
    assert drawing("blocks") is None
    assert drawing("sixel") is None


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(
    ("term", "answer", "image"),
    [("xterm-256color", "\x1b[?62;4c", "\x1bP"), ("xterm-kitty", None, "\x1b_Ga=T")],
    ids=["sixel", "kitty"],
)
def test_a_real_terminal_is_asked_and_sent_images(tmp_path, term, answer, image) -> None:
    pexpect = pytest.importorskip("pexpect")
    study = ready(tmp_path)
    spawned = command(study, "--name", "Ada")
    environment = {**os.environ, "TERM": term}
    for name in ("TMUX", "TERM_PROGRAM"):
        environment.pop(name, None)
    child = pexpect.spawn(
        spawned[0], spawned[1:], timeout=30, encoding="utf-8", env=environment, use_poll=True
    )
    child.setwinsize(40, 100)
    try:
        if answer is not None:
            child.expect_exact("\x1b[c")
            child.send(answer)
        child.expect_exact(image)
        child.expect("You answered 0")
        time.sleep(1)
        child.send("q")
        child.expect("everything is kept")
        child.expect(pexpect.EOF)
    finally:
        child.close()


def command(study: Study, *more: str) -> list[str]:
    return [sys.executable, "-m", "fabricbo", "rate", str(study.folder), *more]


def test_the_command_reads_a_pipe_and_ends_with_it(tmp_path) -> None:
    study = ready(tmp_path)
    done = subprocess.run(
        command(study, "--name", "Ada"),
        input="left\nu\nright\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert stored(study) == ["left", "undo", "right"]
    assert "sheet-2.png" in done.stdout
    assert done.stderr == ""


def test_the_command_tells_what_is_wrong(tmp_path) -> None:
    study = ready(tmp_path)
    done = subprocess.run(
        command(study, "--name", ""), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: a rater's name has 1 to 100 characters, got ''\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_single_keys_in_a_real_terminal(tmp_path) -> None:
    pexpect = pytest.importorskip("pexpect")
    study = ready(tmp_path)
    spawned = command(study, "--name", "Ada")
    child = pexpect.spawn(spawned[0], spawned[1:], timeout=30, encoding="utf-8", use_poll=True)
    child.setwinsize(40, 100)
    steps = [
        ("You answered 1", "u"),
        ("You answered 0", ARROW["up"]),
        ("You answered 1", " "),
        ("You answered 2", "x"),
        ("answers nothing", ARROW["down"]),
        ("You answered 3", "q"),
    ]
    try:
        child.expect("You answered 0")
        child.send(ARROW["left"])  # nobody has seen the images yet: it does not count
        time.sleep(1)
        child.send(ARROW["right"])
        for shown, key in steps:
            child.expect(shown)
            time.sleep(0.5)
            child.send(key)
        child.expect("You answered 3; everything is kept")
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert stored(study) == ["right", "undo", "tie", "skip", "both-bad"]
    times = [vote.seconds for vote in study.ballots.votes() if vote.answer != "undo"]
    assert all(0.2 < seconds < 30 for seconds in times)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_ctrl_c_while_waiting_keeps_the_terminal_and_the_votes(tmp_path) -> None:
    pexpect = pytest.importorskip("pexpect")
    study = rated_study(tmp_path)
    spawned = command(study, "--name", "Ada")
    child = pexpect.spawn(spawned[0], spawned[1:], timeout=30, encoding="utf-8", use_poll=True)
    try:
        child.expect("faster than the computer")
        time.sleep(0.5)
        child.sendintr()
        child.expect("everything is kept")
        child.expect(pexpect.EOF)
        child.wait()
    finally:
        child.close()
    assert child.exitstatus == 130
