"""Declaring, finding and asking objectives."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from fabricbo.scores import Score
from fabricbo.scoring import (
    ObjectiveError,
    declaration,
    evaluate,
    installed_objectives,
    load_objective,
    objective,
)

IMAGES = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]


def plain(images, prompt):
    return [1.0] * len(images)


def test_defaults_and_declaration() -> None:
    assert (declaration(plain).name, declaration(plain).direction) == ("plain", "maximize")

    @objective(direction="minimize", per="batch", name="other")
    def declared(images, prompt):
        return [1.0]

    shown = declaration(declared)
    assert (shown.name, shown.direction, shown.per) == ("other", "minimize", "batch")
    assert evaluate(declared, IMAGES, "") == Score((1.0,))


@pytest.mark.parametrize("wrong", [{"direction": "up"}, {"per": "pixel"}])
def test_wrong_declaration(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        objective(**wrong)(plain)


@pytest.mark.parametrize(
    "returned", [[1, 2], (1.0, 2.0), torch.tensor([1.0, 2.0]), [torch.tensor(1.0), 2]]
)
def test_anything_that_holds_numbers_is_taken(returned) -> None:
    assert evaluate(lambda images, prompt: returned, IMAGES, "").values == (1.0, 2.0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images, prompt: [1.0], "must return 2 numbers"),
        (lambda images, prompt: [1.0, float("nan")], "finite"),
        (lambda images, prompt: [1.0, 1e300], "1e"),
        (lambda images, prompt: ["a", "b"], "ValueError"),
        (lambda images, prompt: images[5], "IndexError"),
    ],
    ids=["count", "nan", "huge", "text", "raises"],
)
def test_what_is_no_score_is_refused(function, message) -> None:
    with pytest.raises(ObjectiveError, match=message):
        evaluate(function, IMAGES, "")


def test_ctrl_c_in_an_objective_is_not_swallowed() -> None:
    def interrupted(images, prompt):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(interrupted, IMAGES, "")


def test_installed_ones_are_found_and_work() -> None:
    names = installed_objectives()
    assert {"brightness", "colourfulness", "target-similarity", "text-similarity"} <= set(names)
    assert load_objective("brightness")(IMAGES, "") == pytest.approx([0.2126, 0.0722])


FILE = """
from fabricbo import objective

def steady(images, prompt):
    return [2.0] * len(images)

def made(level):
    return lambda images, prompt: [level] * len(images)

@objective(name="held")
class Held:
    def __init__(self, level=1.0):
        if level < 0:
            raise ValueError("level must be at least 0")
        self.level = level
    def __call__(self, images, prompt):
        return [self.level] * len(images)

number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    (tmp_path / "broken.py").write_text("import nothing_like_it")
    return path


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("steady", {}, 2.0),
        ("made", {"level": 5.0}, 5.0),
        ("Held", {}, 1.0),
        ("Held", {"level": 4.0}, 4.0),
    ],
    ids=["function", "function with options", "class", "class with options"],
)
def test_from_a_file(file: Path, name, options, expected) -> None:
    assert load_objective(f"{file}:{name}", options)(IMAGES, "") == [expected] * 2


def test_from_a_module(file: Path, monkeypatch) -> None:
    monkeypatch.chdir(file.parent)
    assert load_objective("mine:steady")(IMAGES, "") == [2.0, 2.0]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mine.py:nothing", {}, "has no 'nothing'"),
        ("mine.py:number", {}, "not callable"),
        ("mine.py:Held", {"level": -1}, "level must be at least 0"),
        ("mine.py:Held", {"colour": 1}, "colour"),
        ("missing.py:steady", {}, "no file"),
        ("broken.py:steady", {}, "nothing_like_it"),
        ("no_such_module:steady", {}, "cannot be imported"),
        ("brightnes", {}, "brightness"),
    ],
)
def test_what_cannot_be_loaded_is_told(file: Path, monkeypatch, name, options, message) -> None:
    monkeypatch.chdir(file.parent)
    with pytest.raises(ObjectiveError, match=message):
        load_objective(name, options)
