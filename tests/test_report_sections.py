"""Sections of the page that follow from estimates, events and settings: what they say."""

import base64
import io
import json
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fabricbo.assessment import Assessment, Contour, Estimate, Sensitivity
from fabricbo.records import Action, FabricParams, Trial, TrialStatus
from fabricbo.report.calibration import calibration, calibration_text
from fabricbo.report.contours import Placed, maps, ramp
from fabricbo.report.cost import cost
from fabricbo.report.curve import curve_text, round_curve
from fabricbo.report.embed import EmbeddedImages
from fabricbo.report.known import read
from fabricbo.report.leaders import leads
from fabricbo.report.raters import raters
from fabricbo.report.reproduce import reproduce
from fabricbo.report.sensitivity import shares
from fabricbo.scores import Score
from fabricbo.space import Choice, Range
from fabricbo.study import check_settings
from fabricbo.study.file_text import study_file_text
from fabricbo.study.images import images_of
from fabricbo.votes import Option, Question
from tests.fakes import fake_study


def done(index: int, *values: float, round: int = 1, **params: float) -> Trial:
    return Trial(
        index=index,
        round=round,
        action=Action(FabricParams(**params)),  # type: ignore[arg-type]
        source="hand" if index == 0 else "bo",
        seeds=(1,) * len(values),
        status=TrialStatus.DONE,
        score=Score(values),
    )


def test_the_lead_goes_by_what_all_trials_say_where_that_is_known() -> None:
    trials = [done(0, 1.0, 1.0), done(1, 3.0, 1.0), done(2, 1.5, 1.5)]
    by_scores = leads(trials, "maximize", {})
    assert [lead.trial for lead in by_scores] == [0, 1, 1]
    assert (by_scores[1].low, by_scores[1].high) == (0.0, 4.0)
    expected = {0: (Estimate(1.0, 0.1),), 1: (Estimate(1.2, 0.1),), 2: (Estimate(1.4, 0.2),)}
    led = leads(trials, "maximize", expected)
    assert [(lead.at, lead.trial, lead.mean) for lead in led] == [
        (0, 0, 1),
        (1, 1, 1.2),
        (2, 2, 1.4),
    ]
    assert led[-1].high == pytest.approx(1.8)
    assert [lead.trial for lead in leads(trials, "minimize", expected)] == [0, 0, 0]
    assert curve_text(led, "red") == (
        "Best red so far: 1.000 from trial 0 on, 1.200 from trial 1 on, 1.400 from trial 2 on"
    )


def test_rounds_end_with_their_lead_and_have_a_mean() -> None:
    trials = [done(0, 1.0), done(1, 2.0), done(2, 5.0, round=2), done(3, 1.0, round=2)]
    best, mean = round_curve(trials, leads(trials, "maximize", {}), name="red").data
    assert (list(best.x), list(best.y), list(best.customdata)) == ([1, 2], [2, 5], [1, 2])
    assert list(mean.y) == [1.5, 3.0]


def guessed(errors: list[float], width: float) -> str:
    trials = [done(i, float(i)) for i in range(len(errors))]
    left_out = {i: (Estimate(i + error, width),) for i, error in enumerate(errors)}
    found = calibration(trials, left_out)
    assert found is not None
    return calibration_text(found)


def test_calibration_counts_hits_and_says_when_the_surrogate_is_too_sure() -> None:
    good = guessed([0.1, -0.2, 0.3, -0.1, 0.2, 0.1, 0.0, -0.3], 0.2)
    assert good.startswith("8 of 8 intervals hold what was then seen, where about 8 should: that")
    assert good.endswith("% of the differences between trials were predicted.")
    sure = guessed([0.1, -2.0, 3.0, -1.0, 2.0, 1.0, 0.0, -3.0], 0.2)
    assert sure.startswith("2 of 8")
    assert "surer of itself than it should be" in sure
    assert "no better than guessing" in guessed([8.0, -8.0, 8.0, -8.0, 8.0, -8.0], 9.0)


def test_no_calibration_of_a_few_trials() -> None:
    trials = [done(i, float(i)) for i in range(4)]
    assert calibration(trials, {i: (Estimate(i, 1.0),) for i in range(4)}) is None
    assert calibration(trials, {}) is None


def test_shares_of_the_first_objective_the_largest_first() -> None:
    found = shares(
        [
            Sensitivity("neg_scale", 0.1, 0.0, 0.3),
            Sensitivity("references", 0.8, 0.5, 0.95),
            Sensitivity("neg_scale", 0.9, 0.8, 1.0, measure=1),
        ]
    )
    assert [(one.name, one.share) for one in found] == [("references", 80), ("neg_scale", 10)]
    assert found[0].text == "references: 80%, between 50% and 95%"


def contour() -> Contour:
    """Rises with the weight; a window that is none in the upper left corner."""
    weights, starts = (0.0, 0.5, 1.0), (0.2, 0.8)
    rows = [[Estimate(w + s, 0.1 + w) for w in weights] for s in starts]
    cells = (tuple(rows[0]), (None, *rows[1][1:]))
    return Contour("max_weight", "feedback_start", weights, starts, cells)


def test_maps_are_better_where_orange_and_hold_images_at_their_settings(tmp_path) -> None:
    store = images_of(tmp_path, None)
    image = store.save(Image.new("RGB", (4, 4), (9, 0, 0)))
    trials = [
        replace(done(0, 0.2, max_weight=0.8, feedback_start=0.0), images=(image,)),
        replace(done(1, 2.0, max_weight=1.0, feedback_start=0.8), images=(image,)),
        replace(done(2, 1.0, max_weight=1.5), images=(image,)),  # outside of the domain
        replace(done(3, 1.9, max_weight=0.95, feedback_start=0.8), images=(image,)),  # no room
        done(4, 5.0),  # without images
    ]
    domains = {"max_weight": Range(0, 1), "feedback_start": Choice((0.2, 0.8))}
    worth = {trial.index: trial.scores[0].mean for trial in trials}
    placed = Placed(trials, domains, trials[1], worth)
    found, other = (
        maps([contour()], placed, direction, EmbeddedImages(store))
        for direction in ("maximize", "minimize")
    )
    (one,) = found
    assert [(pin.trial, pin.left, pin.bottom, pin.kind) for pin in one.pinned] == [
        (1, 100.0, 75.0, "best")
    ]
    assert one.ends == ("0", "1", "0.2", "0.8")
    assert "best at max_weight 1, feedback_start 0.8, expected score 1.800" in one.text
    pixels, turned = (_pixels(several[0].uri) for several in (found, other))
    assert pixels[0, 0, 3] == 0  # no action there
    assert pixels[-1, -1, 3] < pixels[-1, 0, 3]  # less is known on the right
    red_minus_blue = pixels[..., 0].astype(int) - pixels[..., 2]
    assert red_minus_blue[0, -1] > red_minus_blue[-1, 0]
    assert turned[0, -1, 0] < pixels[0, -1, 0]
    assert ramp([contour()], "maximize").best == ramp([contour()], "minimize").worst == "1.800"


def _pixels(uri: str) -> np.ndarray:
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))
    return np.asarray(image.convert("RGBA"))


def test_contours_without_any_difference_are_drawn(tmp_path) -> None:
    flat = Contour("max_weight", "neg_scale", (0.0, 1.0), (0.0, 1.0), ((Estimate(1, 0),) * 2,) * 2)
    domains = {"max_weight": Range(0, 1), "neg_scale": Range(0, 1)}
    placed = Placed([], domains, done(0, 1.0), {})
    assert len(maps([flat], placed, "maximize", EmbeddedImages(images_of(tmp_path, None)))) == 1


def test_what_surrogates_say_survives_storing_and_earlier_stores_are_read() -> None:
    found = Assessment(
        left_out={3: (Estimate(1.0, 0.5),)},
        contours=(contour(),),
        sensitivities=(Sensitivity("neg_scale", 0.5, 0.25, 0.75),),
    )
    data = json.loads(json.dumps(found.to_json()))
    assert Assessment.from_json(data) == found
    for later in ("left_out", "contours", "sensitivities", "utilities"):
        del data[later]
    assert Assessment.from_json(data) == Assessment()


def test_cost_comes_from_events(tmp_path) -> None:
    study = fake_study(tmp_path)
    assert cost(read(study)) is None
    study.run()
    study.hold_out()
    found = cost(read(study))
    assert found is not None
    facts = dict(found.facts)
    assert facts["images"] == "14 in 7 trials, 12 to compare at the end"
    assert [(one.round, one.trials, one.images) for one in found.rounds] == [(1, 4, 8), (2, 3, 6)]
    assert max(one.share for one in found.rounds) == pytest.approx(100)


def test_an_attempt_that_was_lost_is_counted(tmp_path) -> None:
    study = fake_study(tmp_path)
    trial = study.ask()
    study.claim(trial)
    study.claim(study.trials[0])
    study.fail(study.trials[0], "no memory")
    found = cost(read(study))
    assert found is not None
    assert dict(found.facts)["lost"] == "1 trial without an outcome, 1 attempt begun anew"


@pytest.mark.parametrize(
    "settings",
    [
        {"prompt": '/a "cat"\nand \\ a dög\x7f', "seed": 3},
        {
            "prompt": ["a cat", "a dog"],
            "objective": ["colourfulness", {"name": "text-similarity", "text": "a cat"}],
            "constraints": ["colourfulness >= 0.1"],
            "space": {
                "guidance_scale": {"low": 1.0, "high": 9.0, "log": True},
                "denoising_steps": {"choices": [10, 20]},
                "max_weight": [0.0, 1.5],
                "neg_scale": 0.25,
                "max_liked": 2,
            },
            "rating": {"kind": "stars", "consent": "I agree."},
        },
        {
            "prompt": "a cat",
            "objective": {
                "name": "combined",
                "parts": [{"name": "brightness", "weight": 2.0}, {"name": "colourfulness"}],
            },
            "pool": {"grow_liked": 1},
        },
    ],
    ids=["odd texts", "several", "combined"],
)
def test_the_study_file_of_a_page_is_read_back_as_the_same_study(tmp_path, settings) -> None:
    checked = check_settings({"name": "told", "storage": tmp_path, **settings})
    data = tomllib.loads(study_file_text(checked))
    assert check_settings({**data, "storage": tmp_path}) == checked


def test_no_path_of_this_machine_is_told(tmp_path) -> None:
    settings = {"name": "told", "prompt": "a cat", "storage": tmp_path}
    settings["pool"] = {"folder": tmp_path / "cats"}
    settings["objective"] = {"name": "target-similarity", "target": str(tmp_path / "cat.png")}
    text = study_file_text(check_settings(settings))
    assert str(tmp_path) not in text
    assert tomllib.loads(text)["pool"] == {"folder": "cats"}
    assert tomllib.loads(text)["objective"]["target"] == "cat.png"


def test_how_to_do_it_again(tmp_path) -> None:
    study = fake_study(tmp_path)
    empty = reproduce(read(study))
    assert empty.action is None
    assert "replay" not in empty.commands
    assert "run" not in empty.commands  # the objective was handed over in Python
    study.run()
    best = study.best()
    found = reproduce(read(study))
    assert best is not None and found.action is not None
    assert f"fabricbo replay fake {best.index} " in found.commands
    assert json.loads(found.action) == best.action.to_json()
    assert [identity for *_, identity in found.references] == [
        reference.id for reference in (*best.action.liked, *best.action.disliked)
    ]


def test_raters_are_told_without_names(tmp_path) -> None:
    study = fake_study(tmp_path, objective=None, rating={"kind": "pairwise"})
    assert raters(study) is None
    study.draw()
    study.draw()
    shown = (Option("i0", 0), Option("i1", 1))
    study.ballots.add_questions([Question(0, "pairwise", shown, "x")])
    (question,) = study.ballots.questions()
    for name in ("Ada", "Bob"):
        found = study.ballots.by_token(study.ballots.add_rater(name))
        assert found is not None
        task = study.ballots.assign(question, found[0], (0, 1))
        assert task is not None
        study.ballots.vote(task, "left", name, 1.5)
    assert "fabricbo run fake.toml" in reproduce(read(study)).commands
    told = raters(study)
    assert told is not None
    assert told.text.startswith("2 raters, 2 votes that count.")
    assert [(row.answered, row.left, row.again) for row in told.rows] == [(1, "1 of 1", "-")] * 2
    assert "Ada" not in repr(told)
