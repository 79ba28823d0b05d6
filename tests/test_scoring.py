"""Declaring, finding and asking objectives."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from fabricbo.records import Action
from fabricbo.scores import Score
from fabricbo.scoring import (
    DrawnWith,
    ObjectiveError,
    Placement,
    declaration,
    evaluate,
    installed_objectives,
    load_objective,
    objective,
    prepare,
)
from tests.tiny import reference

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


# What an objective may ask for

DRAWN = DrawnWith(Action(), (reference("red"),), (3, 4), (Image.new("RGB", (4, 4)),))


def test_what_is_asked_for_by_name_is_given() -> None:
    asked = {}

    def curious(images, prompt, action, *, references, seeds, baseline, drawn, other=7):
        asked.update(locals())
        return [1.0] * len(images)

    evaluate(curious, IMAGES, "a cat", DRAWN)
    assert asked["action"] is DRAWN.action
    assert asked["references"] is DRAWN.references
    assert asked["seeds"] == (3, 4)
    assert asked["baseline"] is DRAWN.baseline
    assert asked["drawn"] is DRAWN
    assert asked["other"] == 7


def test_a_class_may_ask_too_and_names_of_the_first_two_are_free() -> None:
    class Curious:
        def __call__(self, action, seeds, references):
            return [float(len(references))] * len(action)

    assert evaluate(Curious(), IMAGES, "a cat", DRAWN).values == (1.0, 1.0)


def test_asking_outside_of_a_study() -> None:
    def needs(images, prompt, seeds, action):
        return [1.0, 1.0]

    with pytest.raises(ObjectiveError, match="needs asks for seeds and action, which only"):
        evaluate(needs, IMAGES, "")

    def may(images, prompt, seeds=(9,)):
        return [float(seeds[0])] * 2

    assert evaluate(may, IMAGES, "").values == (9.0, 9.0)
    assert evaluate(may, IMAGES, "", DRAWN).values == (3.0, 3.0)


def test_placement_reaches_the_constructors_that_ask(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class Placed:\n"
        "    def __init__(self, device='cpu', offload=None, size=1):\n"
        "        self.got = (device, offload, size)\n"
        "    def __call__(self, images, prompt): return [1.0] * len(images)\n"
        "class Plain:\n"
        "    def __call__(self, images, prompt): return [1.0] * len(images)\n"
    )
    name, place = f"{tmp_path / 'own.py'}:Placed", Placement("cuda", True)
    assert load_objective(name, None, place).got == ("cuda", True, 1)
    assert load_objective(name, {"device": "mps", "size": 2}, place).got == ("mps", True, 2)
    assert load_objective(name).got == ("auto", False, 1)
    load_objective(f"{tmp_path / 'own.py'}:Plain", None, place)


def test_prepare_loads_and_says_why_not() -> None:
    class Loading:
        loaded = 0

        def load(self):
            self.loaded += 1

        def __call__(self, images, prompt):
            return []

    made = Loading()
    prepare(made)
    assert made.loaded == 1
    prepare(plain)

    class Broken(Loading):
        def load(self):
            raise OSError("no such disk")

    with pytest.raises(ObjectiveError, match="Broken cannot be loaded: OSError: no such disk"):
        prepare(Broken())
