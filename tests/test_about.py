"""`fabricbo about`: files may come from anybody, and say anything."""

import json
import subprocess
import sys
import zlib
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.study.images import images_of
from tests.files import file_of
from tests.test_origin import PLAIN
from tests.test_webui_text import EXAMPLE

RED = Image.new("RGB", (5, 3), "red")


def about(*words: object):
    return CliRunner().invoke(app, ["about", *map(str, words)])


@pytest.fixture
def ours(tmp_path) -> Path:
    images = images_of(tmp_path, None)
    return file_of(images, images.save(RED, PLAIN))


def written(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    RED.save(path, pnginfo=info)
    return path


def test_a_file_of_ours_is_told(ours) -> None:
    said = about(ours).output
    for line in (
        "  study: fake, trial 1 (round 1)",
        "  prompt: a cat",
        "  negative prompt: blurry",
        "  seed: 3",
        "  feedback_end: 0.8",
        "  liked: ab",
        '  checkpoint: {"name": "demo.safetensors"}',
        '  drawn with: {"scheduler": "EulerDiscreteScheduler", "x": 1.5}',
    ):
        assert line in said.splitlines()
    assert "changed" not in said


def test_json_has_all_of_it(ours) -> None:
    (found,) = json.loads(about(ours, "--json").stdout)["images"]
    # Settings that are off are not in the file, but in the answer, whose keys are always the same.
    whole = {"image": ours.stem, "params": asdict(PLAIN.params), "strengths": {}}
    assert found["origin"] == json.loads(PLAIN.to_text()) | whole
    assert (found["image"], found["changed"]) == (ours.stem, False)
    assert found["parameters"]["settings"]["Sampler"] == "Euler"


def test_a_file_of_webui_is_told(tmp_path) -> None:
    file = written(tmp_path / "theirs.png", parameters=EXAMPLE)
    lines = about(file).output.splitlines()
    assert "  Lora hashes: style: 45de, ink: 52b" in lines
    assert '  negative prompt: blurry, "dull"' in lines
    (found,) = json.loads(about(file, "--json").stdout)["images"]
    assert found["origin"] is None
    assert found["parameters"]["prompt"] == "a cat, (gold:1.2)\nby the sea"


def test_a_file_that_says_nothing_is_told(tmp_path) -> None:
    RED.save(tmp_path / "red.jpg")
    for file in (written(tmp_path / "red.png", Comment="hello"), tmp_path / "red.jpg"):
        done = about(file)
        assert (done.exit_code, "does not say how it was drawn" in done.output) == (0, True)


def test_pixels_that_were_changed_are_noticed(ours, tmp_path) -> None:
    with Image.open(ours) as image:
        texts = image.text
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    Image.new("RGB", (5, 3), "blue").save(tmp_path / "blue.png", pnginfo=info)
    assert "it was changed since" in about(tmp_path / "blue.png").output


def test_one_that_cannot_be_read_hides_no_other(ours, tmp_path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    done = about(bad, tmp_path / "none.png", ours)
    assert done.exit_code == 1
    assert "bad.png is no readable image" in done.output
    assert "none.png" in done.output
    assert "  seed: 3" in done.output


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', "[" * 100_000])
def test_a_text_of_ours_that_is_broken_is_told(tmp_path, text) -> None:
    done = about(written(tmp_path / "a.png", fabricbo=text))
    assert (done.exit_code, "cannot be read" in done.output) == (1, True)


@pytest.mark.parametrize("key", ["fabricbo", "parameters"])
def test_texts_too_long_are_not_read(tmp_path, key) -> None:
    done = about(written(tmp_path / "a.png", **{key: "x" * (2**20 + 1)}))
    assert (done.exit_code, "at most 1048576" in done.output) == (1, True)


def test_a_text_that_unpacks_to_too_much_is_not_read(tmp_path) -> None:
    info = PngInfo()
    packed = zlib.compress(b"x" * 2**27, 9)
    info.add(b"zTXt", b"parameters\0\0" + packed)
    RED.save(tmp_path / "bomb.png", pnginfo=info)
    done = about(tmp_path / "bomb.png")
    assert (done.exit_code, "no readable image" in done.output) == (1, True)


def test_nothing_reaches_the_terminal_as_a_command(tmp_path) -> None:
    file = written(tmp_path / "a.png", parameters="a \x1b]0;title\x07 \x9b31m cat\r\n[red]b")
    said = about(file).output
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(said)
    assert "\\x1b]0;title" in said
    assert "[red]b" in said


def test_the_command(ours, tmp_path) -> None:
    command = [sys.executable, "-m", "fabricbo", "about", str(ours)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "  prompt: a cat" in done.stdout
