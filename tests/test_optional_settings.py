"""Settings that FABRIC does not have, from a study file to its page; off, nothing knows of them."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from ax.core.parameter import FixedParameter, RangeParameter
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.cli.wording import references
from fabricbo.imagefiles import png_texts
from fabricbo.proposers import make_proposer
from fabricbo.proposers.ax_experiment import MirroredExperiment, role_name, scalar_search_space
from fabricbo.protocols import History
from fabricbo.records import OPTIONAL, Action, FabricParams, Trial, TrialStatus
from fabricbo.report import write_report
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range, role_choice
from fabricbo.study import SettingsError, Study
from fabricbo.study.file import read_study_file
from fabricbo.study.file_text import study_file_text
from fabricbo.study.origin import Origin
from tests.fakes import fake_study
from tests.tiny import reference

POOL = (reference("red"), reference("blue"))
VARYING = ActionSpace({**ActionSpace().domains, **{name: Range(0.0, 1.0) for name in OPTIONAL}})


def shown(study: Study) -> str:
    done = CliRunner().invoke(app, ["show", str(study.folder)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_a_study_names_them_where_they_vary(tmp_path) -> None:
    space = {"ramp": [0.0, 1.0], "rescale": 0.5}
    study = fake_study(tmp_path, name="varied", space=space)
    study.run()
    values = {trial.action.params.ramp for trial in Study.open(study.folder).trials}
    assert len(values) > 2
    assert {trial.action.params.rescale for trial in study.trials} == {0.5}
    assert "ramp" in shown(study)
    text = write_report(study).read_text("utf-8")
    assert "ramp" in text and "rescale" in text and "middle_scale" not in text


def test_a_study_without_them_does_not_know_of_them(tmp_path) -> None:
    study = fake_study(tmp_path, name="plain")
    study.run()
    kept = json.dumps([trial.action.to_json() for trial in study.trials])
    texts = [study.images.read(image) for image in study.trials[0].images]
    page = write_report(study).read_text("utf-8")
    for name in (*OPTIONAL, "strengths"):
        assert name not in kept
        assert name not in shown(study)
        assert f">{name}<" not in page
        assert all(name.encode() not in text for text in texts)
    assert "strengths" not in study.settings.model_dump(mode="json")["space"]
    assert 'class="factor"' not in page


def test_a_study_names_strengths_where_they_are_not_one(tmp_path) -> None:
    study = fake_study(tmp_path, name="strong", space={"strengths": [1, 2.5]})
    study.run()
    again = Study.open(study.folder)
    assert [trial.action for trial in again.trials] == [trial.action for trial in study.trials]
    assert again.space.strengths == (1.0, 2.5)
    strong = next(trial for trial in again.trials if trial.action.strengths)
    action = strong.action
    reference = next(r for r in (*action.liked, *action.disliked) if action.strength(r) == 2.5)
    name = f"{reference.name} x2.5"
    assert f'title="{name}"' in write_report(again).read_text("utf-8")
    assert '<small class="factor">x2.5</small>' in write_report(again).read_text("utf-8")
    assert name in references(action, (*action.liked, *action.disliked))
    text = png_texts(study.images.read(strong.images[0]), "an image")["fabricbo"]
    assert json.loads(text)["strengths"] == action.to_json()["strengths"]
    told = shown_trial(study, strong.index)["action"]
    assert told["strengths"] == action.to_json()["strengths"]
    file = study.folder / "again.toml"
    file.write_text(study_file_text(study.settings), "utf-8")
    assert "strengths = [1.0, 2.5]" in file.read_text("utf-8")


def shown_trial(study: Study, index: int) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["show", str(study.folder), "--json"])
    return next(trial for trial in json.loads(done.stdout)["trials"] if trial["trial"] == index)


def test_the_best_trial_is_shown_with_its_strengths(tmp_path) -> None:
    """Blue is by the number of liked references; only strong ones are drawn here."""
    study = fake_study(tmp_path, name="best", space={"strengths": [1, 3]}, trials=8)
    study.run()
    best = study.best()
    assert best is not None and best.action.strengths
    for text in references(best.action, best.action.liked).split(", "):
        assert text in shown(study)
    used = (*best.action.liked, *best.action.disliked)
    roles = {reference.id: role_choice(best.action, reference) for reference in used}
    assert any(role.endswith(" x3") for role in roles.values())
    page = write_report(study).read_text("utf-8")
    for key, role in roles.items():
        assert f"<td>{role}</td>" in page and key in page


def test_the_text_of_an_image_holds_what_is_on() -> None:
    given = Origin(
        study="a",
        trial=0,
        round=1,
        attempt=1,
        prompt="a cat",
        negative_prompt="",
        seed=1,
        together=(1,),
        params=FabricParams(),
        liked=(),
        disliked=(),
        checkpoint={"name": "demo"},
    )
    assert not set(json.loads(given.to_text())["params"]) & set(OPTIONAL)
    on = replace(given, params=FabricParams(ramp=0.3, middle_scale=0.0))
    told = json.loads(on.to_text())["params"]
    assert (told["ramp"], told["middle_scale"]) == (0.3, 0.0)
    assert Origin.from_text(on.to_text()) == on
    assert asdict(on)["params"]["rescale"] == 0.0
    assert "strengths" not in json.loads(given.to_text())
    strong = replace(given, liked=("a", "b"), strengths={"b": 2.0})
    assert json.loads(strong.to_text())["strengths"] == {"b": 2.0}
    assert Origin.from_text(strong.to_text()) == strong
    for wrong in ("0", "-1", "1e999"):
        with pytest.raises(ValueError, match="cannot be read"):
            Origin.from_text(strong.to_text().replace("2.0", wrong))


def test_ax_has_them_where_they_can_be_on() -> None:
    assert not set(scalar_search_space(ActionSpace()).parameters) & set(OPTIONAL)
    varying = scalar_search_space(VARYING).parameters
    assert all(isinstance(varying[name], RangeParameter) for name in OPTIONAL)
    fixed = scalar_search_space(ActionSpace(hand=FabricParams(ramp=0.5))).parameters
    assert isinstance(fixed["ramp"], FixedParameter)
    assert fixed["ramp"].value == 0.5


@pytest.mark.parametrize("name", ["fabricbo", "random", "sobol", "optuna-tpe", "cmaes"])
def test_proposers_move_them(name: str) -> None:
    if name in ("optuna-tpe", "cmaes"):
        pytest.importorskip("optuna")
    proposer, history = make_proposer(name), History(VARYING, POOL, (), "maximize", 3)
    for index in range(8):
        action = proposer.propose(history).action
        assert VARYING.contains(action, POOL) or index == 0
        score = Score((action.params.ramp - action.params.rescale, action.params.ramp))
        trial = Trial(index, 1, action, "test", (index,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))
    for field in OPTIONAL:
        assert len({getattr(trial.action.params, field) for trial in history.trials}) > 3


STRENGTHS = ActionSpace({"max_weight": Range(0.0, 1.5)}, strengths=(0.5, 1, 2))


@pytest.mark.parametrize("name", ["fabricbo", "random", "sobol", "optuna-tpe", "cmaes"])
def test_proposers_choose_strengths(name: str) -> None:
    if name in ("optuna-tpe", "cmaes"):
        pytest.importorskip("optuna")
    proposer, history = make_proposer(name), History(STRENGTHS, POOL, (), "maximize", 3)
    for index in range(24 if name == "cmaes" else 12):
        action = proposer.propose(history).action
        assert STRENGTHS.contains(action, POOL)
        score = Score((action.params.max_weight * len(action.liked), action.strength(POOL[0])))
        trial = Trial(index, 1, action, "test", (index,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))
    strengths = {s for trial in history.trials for s in trial.action.strengths.values()}
    assert strengths == {0.5, 2.0}


@pytest.mark.parametrize("name", ["fabricbo", "random", "sobol", "optuna-tpe", "cmaes"])
def test_proposers_meet_strengths_that_the_space_has_not(name: str) -> None:
    """As in a study that forks from one that had them."""
    if name in ("optuna-tpe", "cmaes"):
        pytest.importorskip("optuna")
    strong = Action(FabricParams(), POOL[:1], strengths={POOL[0].id: 4.0})
    history, space = History(STRENGTHS, POOL, (), "maximize", 3), STRENGTHS
    for index in range(8):
        action = make_proposer(name).propose(history).action if index != 1 else strong
        assert space.contains(action, POOL) == (index != 1)
        score = Score((float(index), float(index) + 0.1))
        trial = Trial(index, 1, action, "test", (index,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))


@pytest.mark.parametrize("name", ["ax", "optuna-gp"])
def test_other_programs_choose_among_roles_with_strengths(name: str) -> None:
    if name == "optuna-gp":
        pytest.importorskip("optuna")
    strong = Action(FabricParams(), POOL[:1], POOL[1:], {POOL[0].id: 2.0})
    history = History(STRENGTHS, POOL, (), "maximize", 1)
    for index in range(6):
        action = make_proposer(name).propose(history).action if 0 < index < 5 else strong
        assert STRENGTHS.contains(action, POOL)
        trial = Trial(index, 1, action, "test", (index,), TrialStatus.PROPOSED)
        history = replace(history, trials=(*history.trials, trial))
    others = [trial.action for trial in history.trials if trial.action != strong]
    assert any(action.strengths for action in others)


def test_ax_has_a_choice_for_each_role_and_strength() -> None:
    action = Action(FabricParams(), POOL[:1], POOL[1:], {POOL[1].id: 0.5})
    trials = (Trial(0, 1, action, "test", (0,), TrialStatus.DONE, Score((1.0,))),)
    for space, count in ((STRENGTHS, 7), (ActionSpace(), 3)):
        mirror = MirroredExperiment(History(space, POOL, trials, "maximize", 0))
        parameters = mirror.experiment.search_space.parameters
        assert [len(parameters[role_name(r)].values) for r in POOL] == [count, count]
        arm = mirror.experiment.trials[0].arms[0].parameters
        assert [arm[role_name(r)] for r in POOL] == ["liked", "disliked x0.5"]
    assert set(ActionSpace().role_choices) == {"unused", "liked", "disliked"}


def test_what_references_do_is_told_of_their_strengths_in_the_best_trial() -> None:
    """Whatever is left of them where one is unused."""
    history = History(STRENGTHS, POOL, (), "maximize", 0)
    strong = Action(FabricParams(max_weight=1.5), POOL, strengths={r.id: 2.0 for r in POOL})
    for index in range(16):
        action = strong if index == 15 else make_proposer("sobol").propose(history).action
        value = action.params.max_weight * sum(action.strength(r) for r in action.liked)
        trial = Trial(index, 1, action, "test", (index,), TrialStatus.DONE, Score((value, value)))
        history = replace(history, trials=(*history.trials, trial))
    found = make_proposer("fabricbo").assess(history)
    assert max(found.estimates, key=lambda index: found.estimates[index][0].mean) == 15
    assert [effect.reference for effect in found.effects] == [r.id for r in POOL]
    assert all(effect.liked.mean > effect.disliked.mean for effect in found.effects)


def test_strengths_need_references(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"space\.strengths: there are no references"):
        fake_study(tmp_path, name="none", pool=(), space={"strengths": [1, 2]})


def test_trials_of_an_earlier_study_may_have_them_on() -> None:
    """The surrogate of a study without them still knows what they took from the mass."""
    from fabricbo.proposers.features import FeatureMap

    features = FeatureMap(ActionSpace(), POOL)
    plain, ramped = (Action(FabricParams(ramp=r), POOL) for r in (0.0, 1.0))
    place = features.scalar_names.index("liked_mean_mass")
    rows = features([plain, ramped])
    assert rows[1, place] < rows[0, place]


def test_what_is_wrong_with_them_is_said(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    for text, said in [
        ("ramp = 1.5", "ramp must be in [0, 1], got 1.5"),
        ("rescale = [0.0, 2.0]", "rescale must be in [0, 1], got 2"),
        ("middle_scale = -1.0", "middle_scale must be at least 0, got -1"),
        ("ramps = 0.5", "unknown key 'ramps'"),
        ("strengths = [0.5, 2]", "strengths must have 1 among them"),
        ("strengths = [1, 0]", "a strength must be finite and above 0, got 0"),
        ("strengths = 2", "space.strengths: Input should be a valid tuple, got 2"),
        ("roles = false\nstrengths = [1, 2]", "let roles vary, too"),
    ]:
        lines = ['prompt = "a cat"', 'objective = "colourfulness"', "[space]", text]
        file.write_text("\n".join(lines), "utf-8")
        with pytest.raises(SettingsError) as caught:
            read_study_file(file)
        assert said in str(caught.value)
