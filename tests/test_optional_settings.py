"""Settings that FABRIC does not have, from a study file to its page; off, nothing knows of them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from ax.core.parameter import FixedParameter, RangeParameter
from typer.testing import CliRunner

from fabricbo.cli.app import app
from fabricbo.proposers import make_proposer
from fabricbo.proposers.ax_experiment import scalar_search_space
from fabricbo.protocols import History
from fabricbo.records import OPTIONAL, Action, FabricParams, Trial, TrialStatus
from fabricbo.report import write_report
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range
from fabricbo.study import SettingsError, Study
from fabricbo.study.file import read_study_file
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
    for name in OPTIONAL:
        assert name not in kept
        assert name not in shown(study)
        assert f">{name}<" not in page
        assert all(name.encode() not in text for text in texts)


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
    ]:
        lines = ['prompt = "a cat"', 'objective = "colourfulness"', "[space]", text]
        file.write_text("\n".join(lines), "utf-8")
        with pytest.raises(SettingsError) as caught:
            read_study_file(file)
        assert said in str(caught.value)
