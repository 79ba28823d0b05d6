"""Studies that measure several things, over several prompts."""

import numpy as np
import pytest
from PIL import Image

from fabricbo.compose import create_study
from fabricbo.records import TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.scoring import objective
from fabricbo.study import Parts, SettingsError, Study, check_settings
from tests.fakes import POOL, ColourSampler, UnitProposer, fake_study, redness


@objective(direction="minimize", name="blue")
def blueness(images, prompt):
    return [float(image.getpixel((0, 0))[2]) for image in images]


@objective(direction="minimize", per="batch", name="spread")
def spread(images, prompt):
    return [float(np.ptp(redness(images, prompt)))]


BOTH = {"red": redness, "blue": blueness}


def test_several_objectives_are_drawn_once_and_all_scored(tmp_path) -> None:
    study = fake_study(tmp_path, objective=BOTH)
    study.run()
    assert study.measures == (Measure("red"), Measure("blue", "minimize"))
    for trial in study.trials:
        images = [study.images.load(identity) for identity in trial.images]
        assert trial.score == Score(tuple(redness(images, "")))
        assert trial.further == (Score(tuple(blueness(images, ""))),)
    front = study.pareto()
    assert study.best() in front
    means = {t.index: (t.scores[0].mean, -t.scores[1].mean) for t in study.trials}
    for trial in study.trials:
        a, b = means[trial.index]
        beaten = any(c >= a and d >= b and (c, d) != (a, b) for c, d in means.values())
        assert beaten != (trial in front)
    again = Study.open(study.folder)
    assert (again.trials, again.measures) == (study.trials, study.measures)


def test_bounded_measures_come_last_and_the_best_keeps_them(tmp_path) -> None:
    given = {"blue": blueness, "red": redness}
    study = fake_study(tmp_path, objective=given, constraints=["blue <= 40"])
    study.run()
    assert study.measures == (Measure("red"), Measure("blue", "minimize", at_most=40.0))
    kept = [t for t in study.trials if t.further[0].mean <= 40]
    assert kept and len(kept) < len(study.trials)
    assert study.best() == max(kept, key=lambda trial: trial.score.mean)
    assert study.broken_bounds(study.best()) == []


def test_bounds_that_no_trial_keeps_are_named(tmp_path) -> None:
    study = fake_study(tmp_path, objective=BOTH, constraints=["blue <= -1"])
    study.run()
    assert study.broken_bounds(study.best()) == ["blue <= -1"]


def test_held_out_comparison_measures_everything(tmp_path) -> None:
    study = fake_study(tmp_path, objective=BOTH)
    study.run()
    found = study.hold_out()
    assert [one.measure for one in found.comparisons] == list(study.measures)
    assert found.searched == found.comparisons
    assert found.reported == ()
    assert Study.open(study.folder).heldout == found


def test_tell_takes_scores_by_name(tmp_path) -> None:
    study = fake_study(tmp_path, objective=BOTH)
    images = [Image.new("RGB", (4, 4))] * 2
    trial = study.ask()
    for wrong in ([1.0, 2.0], {"red": [1.0, 2.0]}, {"red": [1.0, 2.0], "green": [1.0, 2.0]}):
        with pytest.raises(ValueError, match="expected scores of red, blue"):
            study.tell(trial, images, wrong)
    study.tell(trial, images, {"blue": [3.0], "red": [1.0, 2.0]})
    assert study.trials[0].scores == (Score((1.0, 2.0)), Score((3.0,)))


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (["green <= 1"], "constraint on 'green', which is no objective of this study; there: red"),
        (["blue < 1"], "reads like 'nsfw <= 0.1'"),
        (["blue <= much"], "reads like 'nsfw <= 0.1'"),
        (["blue <= nan"], "reads like 'nsfw <= 0.1'"),
        (["blue <= 1", "blue >= 2"], "at least 2 and at most 1"),
        (["blue <= 1", "blue <= 2"], "such a bound already"),
        (["blue <= 1", "red >= 1"], "nothing is left to optimize"),
    ],
    ids=["unknown", "relation", "word", "nan", "reversed", "twice", "all"],
)
def test_bad_constraints_are_refused_before_anything_is_made(tmp_path, constraints, message):
    with pytest.raises(ValueError, match=message):
        fake_study(tmp_path, objective=BOTH, constraints=constraints)
    assert not (tmp_path / "fake" / "study.db").exists()


LEAST = {"name": "x", "prompt": "a cat", "space": {"guidance_scale": [1.0, 9.0]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": ["brightness", "brightness"]}, "different names"),
        ({"objective": ["brightness"], "constraints": ["nsfw <= 1"]}, "no objective of this study"),
        ({"objective": [{"name": "brightness", "label": "a b"}]}, "label"),
        ({"objective": {"name": "brightness", "reference_point": True}}, "reference_point.*True"),
        ({"objective": {"name": "brightness", "reference_point": "0.5"}}, "reference_point.*'0.5'"),
        ({"objective": {"name": "a.py:"}}, "name"),
        (
            {
                "objective": [{"name": "brightness", "reference_point": 1.0}, "colourfulness"],
                "constraints": ["brightness <= 1"],
            },
            "brightness is bounded, so it has no reference_point",
        ),
        ({"prompt": []}, "a list of texts"),
        ({"prompt": ["a cat", ""]}, "none empty"),
        ({"prompt": ["a cat", "a cat"]}, "different texts"),
        ({"over_prompts": "best"}, "'mean' or 'worst'"),
        ({"spend": "money"}, "'trials' or 'seconds'"),
        ({"rating": {"kind": "guess"}}, "'pairwise'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_settings_are_named(changes, message) -> None:
    with pytest.raises(SettingsError, match=message):
        check_settings({**LEAST, **changes})


def test_labels_and_reference_points(tmp_path) -> None:
    table = [
        {"name": "brightness", "label": "light", "reference_point": 0.25},
        {"name": "colourfulness"},
    ]
    settings = check_settings({**LEAST, "objective": table})
    assert [one.called for one in settings.objective] == ["light", "colourfulness"]
    assert settings.objective[0].options == {}
    parts = Parts(UnitProposer(), ColourSampler(), {"light": redness, "colourfulness": redness})
    study = Study.create(settings.model_copy(update={"storage": tmp_path}), parts)
    assert study.history.reference_point == 0.25
    assert study.history.objectives == (0, 1)


def test_a_proposer_of_one_objective_is_refused_before_anything_is_loaded(tmp_path) -> None:
    settings = {**LEAST, "storage": str(tmp_path), "proposer": "cmaes"}
    settings["checkpoint"] = "nobody/nothing"
    with pytest.raises(SettingsError, match="cmaes takes one objective without bounds, got red"):
        create_study(settings, objective=BOTH)
    assert not (tmp_path / "x").exists()


def test_without_an_objective_nothing_judges(tmp_path) -> None:
    with pytest.raises(ValueError, match="objective: is required"):
        create_study({**LEAST, "storage": str(tmp_path)})


class PromptSampler(ColourSampler):
    """Adds the length of the prompt to blue."""

    def __call__(self, action, prompt, seeds):
        images = super().__call__(action, prompt, seeds)
        return [Image.new("RGB", (8, 8), (*i.getpixel((0, 0))[:2], len(prompt))) for i in images]


def over(tmp_path, how: str, scored, **changes) -> Study:
    settings = {"name": "fake", "prompt": ["a", "bbb"], "rounds": 1, "trials": 2, "images": 2}
    changes |= {"storage": tmp_path, "over_prompts": how, "heldout": 3}
    checked = check_settings({**settings, **changes})
    return Study.create(checked, Parts(UnitProposer(), PromptSampler(), scored), POOL)


@pytest.mark.parametrize(
    ("how", "scored", "expected"),
    [
        ("mean", lambda i, p: [float(x.getpixel((0, 0))[2]) for x in i], 2.0),
        ("worst", lambda i, p: [float(x.getpixel((0, 0))[2]) for x in i], 1.0),
        ("worst", blueness, 3.0),
        ("worst", objective(per="batch")(lambda i, p: [float(len(p))]), 1.0),
    ],
    ids=["mean", "worst", "worst of minimized", "per batch"],
)
def test_every_seed_is_drawn_for_every_prompt(tmp_path, how, scored, expected) -> None:
    study = over(tmp_path, how, scored)
    study.run()
    for trial in study.trials:
        assert len(trial.images) == 4
        assert trial.score.prompts == 2
        assert trial.score.mean == expected
    found = study.hold_out()
    assert len(found.best_images) == 6
    again = Study.open(study.folder)
    assert again.trials == study.trials
    assert again.heldout == found


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (["blue <= 2"], 3.0),
        (["blue >= 2"], 1.0),
        (["blue >= 0.5", "blue <= 9"], 1.0),
        (["blue >= -9", "blue <= 3.5"], 3.0),
    ],
    ids=["at most", "at least", "nearer to the lower", "nearer to the upper"],
)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_worst_prompt_is_the_one_that_breaks_the_bound(
    tmp_path, bounds, expected, direction
) -> None:
    """Whatever the direction that the objective declares: it is bounded, not optimized."""
    bounded = objective(direction=direction, name="blue")(lambda i, p: blueness(i, p))
    scored = {"red": redness, "blue": bounded}
    study = over(tmp_path, "worst", scored, constraints=bounds)
    study.run()
    assert {trial.further[0].mean for trial in study.trials} == {expected}
    found = study.hold_out()
    assert found.comparisons[1].best.mean == expected


def test_growth_of_several_prompts_takes_single_images(tmp_path) -> None:
    settings = {"name": "fake", "prompt": ["a", "bbb"], "rounds": 2, "trials": 2, "images": 2}
    checked = check_settings({**settings, "storage": tmp_path, "pool": {"grow_liked": 1}})
    study = Study.create(checked, Parts(UnitProposer(), PromptSampler(), redness), POOL)
    study.run()
    assert len(study.rounds[1].pool) == 4
    assert all(trial.status is TrialStatus.DONE for trial in study.trials)
