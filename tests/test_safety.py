"""The bound that new studies keep where their checkpoint may draw people."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fabricbo import compose
from fabricbo.cli.app import app
from fabricbo.scoring import ObjectiveError
from fabricbo.study import SettingsError, StudySettings, check_settings
from fabricbo.study.safety import BOUND, safety_note, with_safety
from objectives.safety import Nsfw
from tests.fakes import redness
from tests.tiny import tiny_pipeline

LEAST = {"name": "x", "prompt": "a portrait", "objective": "colourfulness"}
"""Enough for a study."""


def settings(**changes: object) -> StudySettings:
    return check_settings({**LEAST, "checkpoint": "owner/model", **changes})


def test_another_checkpoint_keeps_a_bound() -> None:
    given = settings()
    kept = with_safety(given)
    assert [one.called for one in kept.objective] == ["colourfulness", "nsfw"]
    assert kept.constraints == ("nsfw <= 0.1",)
    assert kept.safety is True
    assert "owner/model may draw people" in (safety_note(given, kept) or "")
    # What was stored is what a study file of the same study says: nothing is added twice.
    again = check_settings(kept.model_dump(mode="json"))
    assert again == kept == with_safety(again)
    assert safety_note(again, with_safety(again)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint": "demo"},
        {"safety": False},
        {"objective": ["colourfulness", "nsfw"]},
        {"objective": ["colourfulness", {"name": "nsfw", "label": "rude"}]},
        {"objective": ["colourfulness", "nsfw"], "constraints": ["nsfw <= 0.5"]},
    ],
    ids=["bundled", "not wanted", "measured", "under another name", "another bound"],
)
def test_nothing_is_added_where_nothing_is_to_be_feared_or_it_was_thought_of(changes) -> None:
    given = settings(**changes)
    kept = with_safety(given)
    assert (kept.objective, kept.constraints) == (given.objective, given.constraints)
    assert safety_note(given, kept) is None


def test_it_can_be_asked_for_with_the_bundled_checkpoint() -> None:
    assert with_safety(settings(checkpoint="demo", safety=True)).constraints == (BOUND,)


def test_raters_see_what_breaks_the_bound_blurred() -> None:
    assert with_safety(settings(rating={})).rating.blur == "nsfw"
    own = settings(rating={}, objective=["colourfulness", "nsfw"], constraints=["nsfw <= 0.5"])
    assert with_safety(own).rating.blur == "nsfw"
    people = settings(rating={}, objective=())
    kept = with_safety(people)
    assert ([one.called for one in kept.objective], kept.rating.blur) == (["nsfw"], "nsfw")
    assert "keeps nsfw <= 0.1 and blurs what breaks" in (safety_note(people, kept) or "")
    assert with_safety(settings(rating={"blur": False})).rating.blur is False
    for changes in ({"safety": False}, {"checkpoint": "demo"}):
        assert not with_safety(settings(rating={}, **changes)).rating.blur


def test_objectives_from_python_say_all_that_is_measured() -> None:
    kept = with_safety(settings(rating={}), handed_over=True)
    assert kept.constraints == ()
    assert kept.rating.blur is True
    given = settings(rating={})
    assert "blurs all images" in (safety_note(given, with_safety(given, handed_over=True)) or "")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("safety")
    tiny_pipeline(folder / "tokens").save_pretrained(folder / "model")
    return folder / "model"


STUDY = """
prompt = "a portrait"
rounds = 1
trials = 2
images = 2
heldout = 2
objective = "colourfulness"
checkpoint = "model"
[space]
denoising_steps = 2
guidance_scale = [2.0, 6.0]
"""


def test_a_study_file_with_another_checkpoint_is_bounded_and_says_so(model, monkeypatch) -> None:
    monkeypatch.setattr(Nsfw, "load", lambda _self: None)
    monkeypatch.setattr(Nsfw, "__call__", lambda _self, images, _prompt: [0.05] * len(images))
    (model.parent / "people.toml").write_text(STUDY)
    result = CliRunner().invoke(app, ["run", str(model.parent / "people.toml")])
    assert result.exit_code == 0, result.output
    assert "may draw people, so the study keeps nsfw <= 0.1" in " ".join(result.stderr.split())
    study = compose.resume_study(model.parent / "studies" / "people", device="cpu")
    assert [measure.name for measure in study.measures] == ["colourfulness", "nsfw"]
    assert study.measures[1].at_most == 0.1
    assert all(trial.scores[1].mean == 0.05 for trial in study.trials)


def test_where_the_scorer_is_missing_it_is_said_how_to_do_without(
    model, tmp_path, monkeypatch
) -> None:
    def missing(_self: Nsfw) -> None:
        raise ObjectiveError("checkpoint 'Falconsai/nsfw_image_detection' cannot be loaded")

    monkeypatch.setattr(Nsfw, "load", missing)
    space = {"guidance_scale": [2.0, 6.0]}
    given = {**LEAST, "checkpoint": str(model), "storage": str(tmp_path), "space": space}
    with pytest.raises(
        ObjectiveError, match=r"cannot be loaded\n.*kept by default: `safety = false"
    ):
        compose.create_study(given, device="cpu")
    with pytest.raises(SettingsError, match=r"cmaes takes one .*\n.*`safety = false`"):
        compose.create_study({**given, "proposer": "cmaes"}, device="cpu")
    # What has nothing to do with the bound is told as it is.
    with pytest.raises(ObjectiveError) as told:
        compose.create_study({**given, "objective": "nobody-has-this"}, device="cpu")
    assert "safety" not in str(told.value)
    assert not (tmp_path / "x").exists()
    for changes in ({"safety": False}, {}):
        objective = redness if not changes else None
        made = compose.create_study(
            {**given, "name": f"made-{len(changes)}", **changes}, objective=objective, device="cpu"
        )
        assert len(made.measures) == 1
