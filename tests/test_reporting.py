"""What the search never sees: reporting objectives, held-out prompts, and what is said of them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fabricbo import objective
from fabricbo.cli.answers.studies import shown
from fabricbo.cli.wording import heldout_lines
from fabricbo.report.carryover import carry_rows, carry_sentence, verdict
from fabricbo.report.page import render
from fabricbo.scores import Measure, Score
from fabricbo.study import Parts, SettingsError, Study, check_settings
from fabricbo.study.heldout import Comparison
from tests.fakes import POOL, ColourSampler, UnitProposer, redness


def blueness(images, prompt):
    return [image.getpixel((0, 0))[2] + image.getpixel((0, 0))[1] / 90 for image in images]


@objective(direction="minimize")
def red_cost(images, prompt):
    return redness(images, prompt)


class Listening:
    """Remembers which prompts it scored."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, images, prompt):
        self.prompts.append(prompt)
        return redness(images, prompt)


def reporting_study(storage: Path, reporters=None, **settings) -> Study:
    values = {"name": "fake", "prompt": "a cat", "rounds": 2, "trials": 3, "images": 2}
    checked = check_settings({**values, "heldout": 6, "storage": storage, **settings})
    parts = Parts(UnitProposer(), ColourSampler(), redness, reporters or {})
    return Study.create(checked, parts, POOL)


def test_reporters_see_baseline_and_best_only(tmp_path) -> None:
    listening = Listening()
    study = reporting_study(tmp_path, {"listening": listening})
    study.run()
    assert listening.prompts == []
    found = study.hold_out()
    assert len(listening.prompts) == 2 * 3  # baseline and best, six images in batches of two
    assert [one.measure.name for one in found.comparisons] == ["redness", "listening"]
    assert [one.measure.name for one in found.reported] == ["listening"]
    assert found.reported[0].baseline == found.first.baseline
    assert Study.open(study.folder).heldout == found
    assert all(len(trial.scores) == 1 for trial in study.trials)


def test_held_out_prompts_are_drawn_at_the_end_only(tmp_path) -> None:
    study = reporting_study(tmp_path, heldout_prompts=["a dog", "a fox"])
    study.run()
    own = study.hold_out()
    other = study.heldout_prompts
    assert (own.prompts, other.prompts) == (("a cat",), ("a dog", "a fox"))
    assert len(own.best_images) == 6
    assert len(other.best_images) == 12
    assert other.first.best.prompts == 2
    assert len(other.first.difference.values) == 6
    assert Study.open(study.folder).heldout_prompts == other


def test_a_batch_objective_reports_one_number_a_batch(tmp_path) -> None:
    @objective(per="batch")
    def reds(images, prompt):
        return [sum(redness(images, prompt))]

    study = reporting_study(tmp_path, {"reds": reds}, heldout_prompts=["a dog"])
    study.run()
    assert len(study.hold_out().reported[0].best.values) == 3
    assert len(study.heldout_prompts.reported[0].best.values) == 3


def test_direction_of_a_reporter_counts(tmp_path) -> None:
    study = reporting_study(tmp_path, {"cost": red_cost})
    study.run()
    study.hold_out()
    (cost,) = study.heldout.reported
    assert cost.gain.mean == pytest.approx(-study.heldout.first.gain.mean)
    assert carry_sentence(study) == "The gain does not carry over: worse by cost."
    assert [(row.name, row.verdict) for row in carry_rows(study)] == [
        ("redness", "better"),
        ("cost", "worse"),
    ]


def test_nothing_reports_nothing_is_said(tmp_path) -> None:
    study = reporting_study(tmp_path)
    assert carry_rows(study) == []
    study.run()
    study.hold_out()
    assert carry_rows(study) == []
    assert carry_sentence(study) is None


@pytest.mark.parametrize(
    ("reporters", "prompts", "said"),
    [
        ({"again": redness}, [], "The gain carries over to again, which the search never saw."),
        (
            {"again": redness, "cost": red_cost},
            [],
            "The gain carries over in part only: worse by cost; better by again.",
        ),
        (
            {},
            ["a dog"],
            "The gain carries over to redness on other prompts, which the search never saw.",
        ),
        ({"flat": lambda i, p: [1.0] * len(i)}, [], "does not carry over: no clear gain by flat."),
    ],
    ids=["kept", "in part", "prompts", "flat"],
)
def test_it_is_said_plainly(tmp_path, reporters, prompts, said: str) -> None:
    study = reporting_study(tmp_path, reporters, heldout_prompts=prompts)
    study.run()
    study.hold_out()
    assert said in carry_sentence(study)
    assert said in heldout_lines(study)[-1]
    assert said in render(study)
    assert "Does the gain carry over?" in render(study)
    row = shown(study).model_dump(mode="json")
    assert [one["name"] for one in row["reported"]] == list(reporters)
    assert len(row["heldout_prompts"]) == len(prompts)
    json.dumps(row, allow_nan=False)


@pytest.mark.parametrize(
    ("best", "expected"),
    [([3, 4, 5.1], "better"), ([1, 2, 3.1], "no clear gain"), ([-2, -1, 0.1], "worse")],
)
def test_two_standard_errors_count(best, expected: str) -> None:
    one = Comparison(Measure("m"), Score((1.0, 2.0, 3.0)), Score(tuple(map(float, best))))
    assert verdict(one) == expected
    assert verdict(Comparison(Measure("m"), Score((1.0,)), Score((9.0,)))) == "measured once"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objective": "brightness", "report_with": "brightness"}, "must name other objectives"),
        ({"report_with": ["vendi", "vendi"]}, "each once"),
        ({"heldout_prompts": ["a cat"]}, "heldout_prompts must be different texts"),
        ({"heldout_prompts": ["a dog", "a dog"]}, "heldout_prompts must be different texts"),
        ({"heldout": 0, "report_with": "vendi"}, "heldout must be above 0"),
    ],
    ids=["same", "twice", "known prompt", "prompt twice", "no images"],
)
def test_bad_settings(settings, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        check_settings({"name": "x", "prompt": "a cat", "objective": "brightness", **settings})


def test_images_of_a_trial_that_could_not_be_scored_are_kept(tmp_path) -> None:
    def moody(images, prompt):
        raise RuntimeError("not today")

    settings = check_settings(
        {"name": "x", "prompt": "a cat", "images": 2, "storage": tmp_path, "trials": 1}
    )
    study = Study.create(settings, Parts(UnitProposer(), ColourSampler(), moody), POOL)
    failed = study.draw()
    assert failed.reason == "moody raised RuntimeError: not today"
    assert len(failed.images) == 2
    assert failed.score is None
    assert isinstance(study.images.load(failed.images[0]), Image.Image)
    assert study.best() is None
    assert study.next_comparison() is None
