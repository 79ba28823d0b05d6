"""Objectives made of several."""

import statistics

import pytest
from PIL import Image

from fabricbo import ObjectiveError, objective
from fabricbo.compose import named_objectives
from fabricbo.records import Action
from fabricbo.scoring import DrawnWith, Part, evaluate
from fabricbo.study import check_settings
from fabricbo.study.file import read_study_file
from fabricbo.testing import check_objective
from objectives.combined import Combined
from tests.fakes import fake_study

IMAGES = [Image.new("RGB", (4, 4), (10 * k + 10, 20 * k + 5, 7)) for k in range(3)]
RED = [10.0, 20.0, 30.0]
GREEN = [5.0, 25.0, 45.0]


def red(images, prompt):
    return [image.convert("RGB").getpixel((0, 0))[0] for image in images]


@objective(direction="minimize")
def green(images, prompt):
    return [image.convert("RGB").getpixel((0, 0))[1] for image in images]


@objective(per="batch")
def count(images, prompt):
    return [len(images)]


def drawn(baseline=()) -> DrawnWith:
    return DrawnWith(Action(), (), (1, 2, 3), tuple(baseline))


def test_weighted_sum_and_product() -> None:
    parts = [Part("red", red, 2.0), Part("green", green, 0.5), Part("count", count)]
    expected = [2 * r - 0.5 * g + 3 for r, g in zip(RED, GREEN, strict=True)]
    assert Combined(parts)(IMAGES, "") == pytest.approx(expected)
    expected = [r**2 * g**-0.5 * 3 for r, g in zip(RED, GREEN, strict=True)]
    assert Combined(parts, "product")(IMAGES, "") == pytest.approx(expected)


def test_normalised_sum_counts_deviations_from_the_hand_settings() -> None:
    made = Combined([Part("red", red), Part("green", green, 2.0)], normalise=True)
    baseline = [Image.new("RGB", (4, 4), (r, g, 0)) for r, g in ((8, 3), (12, 9), (20, 6))]
    reds, greens = (8, 12, 20), (3, 9, 6)
    expected = [
        (r - statistics.mean(reds)) / statistics.stdev(reds)
        - 2 * (g - statistics.mean(greens)) / statistics.stdev(greens)
        for r, g in zip(RED, GREEN, strict=True)
    ]
    found = evaluate(made, IMAGES, "a", drawn(baseline)).values
    assert found == pytest.approx(expected)
    assert statistics.mean(evaluate(made, baseline, "a", drawn(baseline)).values) == pytest.approx(
        0
    )


def test_normalised_product_divides_by_the_mean() -> None:
    made = Combined([Part("red", red, 2.0)], "product", normalise=True)
    baseline = [Image.new("RGB", (4, 4), (level, 0, 0)) for level in (5, 15)]
    found = evaluate(made, IMAGES, "a", drawn(baseline)).values
    assert found == pytest.approx([(r / 10) ** 2 for r in RED])


def test_hand_settings_are_scored_once_a_prompt() -> None:
    calls = []

    def counted(images, prompt):
        calls.append((len(images), prompt))
        return red(images, prompt)

    made = Combined([Part("counted", counted)], normalise=True)
    for prompt in ("a", "a", "b"):
        evaluate(made, IMAGES[:2], prompt, drawn(IMAGES))
    assert calls.count((3, "a")) == calls.count((3, "b")) == 1


@pytest.mark.parametrize(
    ("baseline", "said"),
    [((), "there are none"), (IMAGES[:1], "one and the same score")],
    ids=["no images", "no spread"],
)
def test_what_cannot_be_normalised_says_why(baseline, said: str) -> None:
    made = Combined([Part("red", red)], normalise=True)
    with pytest.raises(ObjectiveError, match=said):
        evaluate(made, IMAGES, "a", drawn(baseline))


def test_a_product_needs_scores_above_zero() -> None:
    def negative(images, prompt):
        return [-1.0] * len(images)

    for part in (Part("negative", negative), Part("black", green)):
        black = [Image.new("RGB", (4, 4))]
        with pytest.raises(ObjectiveError, match=f"{part.name} gave"):
            Combined([part], "product")(black, "")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Combined(), "name at least one objective"),
        (lambda: Combined([Part("a", red), Part("a", green)]), "different names"),
        (lambda: Combined([Part("a", red)], "mean"), "how must be sum or product"),
        (lambda: Combined([Part("a", red)], normalise=1), "normalise must be true or false"),
        (lambda: Part("a", red, 0.0), "weight of a must be above 0"),
        (lambda: Part("a", red, float("nan")), "weight of a must be above 0"),
    ],
    ids=["no part", "same name", "how", "normalise", "zero weight", "nan"],
)
def test_bad_parts(make, said: str) -> None:
    with pytest.raises(ObjectiveError, match=said):
        make()


def test_keeps_the_contract_and_passes_embeddings_on() -> None:
    parts = [Part("red", red), Part("green", green)]
    check_objective(Combined(parts, normalise=True), images=IMAGES)
    assert Combined([Part("red", red)]).embed is None

    class Embedding:
        def __call__(self, images, prompt):
            return red(images, prompt)

        def embed(self, images):
            return [[1.0]] * len(images)

    made = Combined([Part("red", red), Part("embedding", Embedding())])
    assert made.embed(IMAGES) == [[1.0]] * 3


STUDY = """
prompt = "a cat"
[objective]
name = "combined"
how = "product"
normalise = true
[[objective.parts]]
name = "colourfulness"
weight = 2
[[objective.parts]]
name = "own.py:redness"
"""


def test_parts_in_a_study_file(tmp_path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "own.py").write_text("def redness(images, prompt):\n    return [1.0] * len(images)")
    settings = read_study_file(tmp_path / "study.toml")
    (made,) = named_objectives(settings).values()
    assert [(part.name, part.weight) for part in made._parts] == [
        ("colourfulness", 2.0),
        ("redness", 1.0),
    ]
    assert check_settings(settings.model_dump(mode="json")) == settings


def test_a_study_normalised_against_its_hand_settings(tmp_path) -> None:
    def spread(images, prompt):
        return [image.getpixel((0, 0))[0] + image.getpixel((0, 0))[1] / 10 for image in images]

    made = Combined([Part("spread", spread)], normalise=True)
    study = fake_study(tmp_path, objective=made)
    study.run()
    assert study.trials[0].score.mean == pytest.approx(0, abs=1e-9)
    assert all(trial.score is not None for trial in study.trials)
    hand = [spread([study.images.load(image)], "")[0] for image in study.trials[0].images]
    last = study.trials[-1]
    raw = [spread([study.images.load(image)], "")[0] for image in last.images]
    expected = [(value - statistics.mean(hand)) / statistics.stdev(hand) for value in raw]
    assert last.score.values == pytest.approx(expected)
    held = study.hold_out()  # on the same scale, so that it can be compared
    raw = [spread([study.images.load(image)], "")[0] for image in held.best_images]
    expected = [(value - statistics.mean(hand)) / statistics.stdev(hand) for value in raw]
    assert held.first.best.values == pytest.approx(expected)
