"""Images that start blurred because of what was measured of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from fabricbo.rating.assignment import next_task
from fabricbo.rating.veil import veiled
from fabricbo.study import Parts, SettingsError, Study, check_settings
from fabricbo.votes import Option, Question
from tests.fakes import POOL, ColourSampler, UnitProposer, redness

VALUES = {"name": "rated", "prompt": "a cat", "rounds": 1, "trials": 3, "images": 2}


def green(images, prompt):
    return [float(image.getpixel((0, 0))[1]) for image in images]


def measured(storage: Path, bound: str, blur: bool | str) -> Study:
    """Make a study whose two images have greens of their own, all trials alike."""
    rating = {"repeats": 0.0, "blur": blur}
    settings = check_settings(
        {**VALUES, "storage": storage, "rating": rating, "constraints": [bound]}
    )
    objectives = {"red": redness, "green": green}
    return Study.create(settings, Parts(UnitProposer(), ColourSampler(), objectives), POOL)


def ask_all(study: Study) -> tuple[bool, ...]:
    """Put all images of two trials in one question, and tell which of them are veiled."""
    one, other = study.draw(), study.draw()
    options = [Option(image, trial.index) for trial in (one, other) for image in trial.images]
    study.ballots.add_questions([Question(0, "best-of", tuple(options), "x")])
    study.ballots.add_rater("Ada")
    task = next_task(study.ballots, study.settings, study.ballots.raters()[0].id)
    told = dict(zip((option.image for option in task.shown), veiled(study, task), strict=True))
    return tuple(told[image] for trial in (one, other) for image in trial.images)


def test_only_images_that_break_the_bound_are_veiled(tmp_path) -> None:
    first, second = measured(tmp_path / "a", "green <= 300", "green").rounds[0].seeds
    low, high = sorted((first % 256, second % 256))
    between = (low + high) / 2
    study = measured(tmp_path / "b", f"green <= {between}", "green")
    expected = (first % 256 > between, second % 256 > between)
    assert ask_all(study) == expected * 2
    assert ask_all(measured(tmp_path / "c", f"green <= {high}", "green")) == (False,) * 4
    assert ask_all(measured(tmp_path / "d", f"green <= {between}", True)) == (True,) * 4
    assert ask_all(measured(tmp_path / "e", f"green <= {between}", False)) == (False,) * 4


def test_what_was_not_measured_is_veiled(tmp_path, monkeypatch) -> None:
    study = measured(tmp_path, "green <= 300", "green")
    assert ask_all(study) == (False,) * 4
    unscored = [replace(trial, score=None, further=()) for trial in study.trials]
    monkeypatch.setattr(Study, "trials", unscored)
    task = next_task(study.ballots, study.settings, 1)
    assert veiled(study, task) == (True,) * 4


def test_a_name_without_a_bound_is_refused() -> None:
    rating = {"blur": "nsfw"}
    with pytest.raises(SettingsError, match="none here"):
        check_settings({**VALUES, "rating": rating})
    with pytest.raises(SettingsError, match=r"\(red\), got 'nsfw'"):
        check_settings({**VALUES, "rating": rating, "constraints": ["red <= 1"]})
