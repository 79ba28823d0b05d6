"""`fabricbo objectives` and `fabricbo score`, as their users call them."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.scoring import installed_objectives

OWN = """
from fabricbo import objective

@objective(per="batch")
def count(images, prompt):
    return [len(images)]

def curious(images, prompt, action):
    return [1.0]

def broken(images, prompt):
    return [float("nan")] * len(images)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, colour in {"a": "black", "b": "white"}.items():
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_every_installed_objective_is_listed_with_its_facts() -> None:
    result = run("objectives", "--json")
    assert result.exit_code == 0, result.output
    listed = json.loads(result.stdout)
    assert listed["broken"] == []
    assert [row["name"] for row in listed["objectives"]] == list(installed_objectives())
    for row in listed["objectives"]:
        assert row["direction"] in ("maximize", "minimize")
        assert row["about"], row
        assert row["scale"], row
        assert row["source"], row
        assert row["licence"], row
        assert bool(row["parameters"]) <= bool(row["checkpoint"] and row["checkpoint_licence"])
    text = run("objectives").stdout
    assert "pickscore (maximize)" in text
    assert "yuvalkirstain/PickScore_v1, 986 million parameters" in text
    assert "diversity (maximize, one number a batch)" in text


def test_a_damaged_plug_in_hides_no_other(monkeypatch) -> None:
    names = ("brightness", "no-such-one")
    monkeypatch.setattr("fabricbo.cli.scoring.installed_objectives", lambda: names)
    result = run("objectives", "--json")
    assert [row["name"] for row in json.loads(result.stdout)["objectives"]] == ["brightness"]
    assert json.loads(result.stdout)["broken"][0]["name"] == "no-such-one"
    assert "no-such-one: " in run("objectives").stdout


def test_files_and_folders_are_scored_in_order(place: Path) -> None:
    result = run("score", place / "b.png", place, "--objective", "brightness", "--json")
    row = json.loads(result.stdout)
    assert row["scores"] == pytest.approx([1, 0, 1])
    assert row["files"] == [str(place / name) for name in ("b.png", "a.png", "b.png")]
    assert row["mean"] == pytest.approx(2 / 3)
    assert row["direction"] == "maximize"
    lines = run("score", place, "--objective", "brightness").stdout.splitlines()
    assert lines == [f"0.0000  {place / 'a.png'}", f"1.0000  {place / 'b.png'}"]


def test_options_prompt_and_batches(place: Path) -> None:
    target = f"target={place / 'a.png'}"
    arguments = ("--objective", "palette-distance", "--option", target, "--option", "colours=1")
    row = json.loads(run("score", place, *arguments, "--json").stdout)
    assert row["scores"] == pytest.approx([0, 1], abs=1e-6)
    named = ("--objective", f"{place / 'own.py'}:count")
    assert run("score", place, *named).stdout == "2.0000  all 2 images\n"
    assert json.loads(run("score", place, *named, "--json").stdout)["mean"] == 2
    shown = ("--objective", "text-similarity", "--prompt", "a gold cat")
    assert json.loads(run("score", place, *shown, "--json").stdout)["prompt"] == "a gold cat"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.png", "--objective", "brightness"), "there is no file none.png"),
        (("own.py", "--objective", "brightness"), "is no readable image"),
        (("a.png", "--objective", "brightnes"), "did you mean brightness"),
        (("a.png", "--objective", "own.py:curious"), "asks for action, which only"),
        (("a.png", "--objective", "own.py:broken"), "must be finite"),
        (("a.png", "--objective", "brightness", "--option", "x"), "key=value"),
        (("a.png", "--objective", "vendi", "--option", "scorer=no"), "scorer must be"),
        (("a.png", "--objective", "vendi", "--device", "tpu"), "device must be"),
        ((".", "--objective", "target-similarity"), "target"),
    ],
    ids=["file", "no image", "name", "action", "nan", "option", "scorer", "device", "missing"],
)
def test_what_cannot_be_scored_is_told(place: Path, monkeypatch, arguments, said: str) -> None:
    monkeypatch.chdir(place)
    result = CliRunner().invoke(app, ["score", *arguments])
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_folder_without_images(tmp_path: Path) -> None:
    result = run("score", tmp_path, "--objective", "brightness")
    assert result.exit_code == 1
    assert "has no images" in result.output
