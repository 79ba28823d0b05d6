"""The tasks of the bundled checkpoint: what they are made of, and that they are worth searching."""

from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from experiments.demo_data import Attributes
from experiments.heatmaps import PARAMS
from fabricbo.cli import app
from fabricbo.cli.demo import demo_settings
from fabricbo.compose import named_objectives
from fabricbo.demo.tasks import DEFAULT_TASK, TASKS, DemoTask
from fabricbo.records import Action, FabricParams
from fabricbo.scoring import evaluate
from fabricbo.study import SettingsError, check_settings
from fabricbo.study.pool import check_pool, read_pool

SEEDS = range(7_000_000, 7_000_008)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_a_study_whose_pictures_are_bundled(name: str) -> None:
    task = TASKS[name]
    settings = check_settings({"name": "x", **task.settings()})
    pool = read_pool(task.pool_folder)
    check_pool(settings, pool)
    assert sorted(reference.name for reference in pool) == sorted(task.pool)
    assert set(task.helpful) <= set(task.pool)
    assert task.target_path.is_file()
    assert task.prompt.startswith(("a ", "an "))
    assert len(settings.space.to_space().hand_action(pool).liked) == len(pool)


@pytest.mark.parametrize("name", TASKS)
def test_helpful_references_share_with_the_target_what_the_prompt_leaves_open(name: str) -> None:
    task = TASKS[name]
    target = Attributes(*task.target.split("-"))
    assert target.concept in task.prompt
    for reference in task.pool:
        shown = Attributes(*reference.split("-"))
        open_ = ["style", *(["background"] if "background" not in task.prompt else [])]
        shares = any(getattr(shown, a) == getattr(target, a) for a in open_)
        assert shares == (reference in task.helpful), reference


def test_the_demo_takes_any_task_and_says_which_there_are(tmp_path: Any) -> None:
    for name, task in TASKS.items():
        assert demo_settings(tmp_path, 0, name).prompt == task.prompt
    assert demo_settings(tmp_path, 0) == demo_settings(tmp_path, 0, DEFAULT_TASK)
    with pytest.raises(SettingsError, match="style-only"):
        demo_settings(tmp_path, 0, "nonsense")
    shown = "".join(
        CliRunner().invoke(app.app, ["demo", "--help"], terminal_width=200).output.split()
    )
    assert all("".join(name.split()) in shown for name in TASKS)


@pytest.fixture(scope="module")
def sampler() -> Any:
    from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline

    return FabricSampler(load_pipeline(Checkpoint("demo", device="cpu")))


def score(sampler: Any, task: DemoTask, params: FabricParams, names: tuple[str, ...]) -> float:
    """Return the mean score over common seeds, with some of the pool's references liked."""
    (objective,) = named_objectives(check_settings({"name": "x", **task.settings()})).values()
    liked = tuple(r for r in read_pool(task.pool_folder) if r.name in names)
    images = sampler(Action(params, liked), task.prompt, SEEDS)
    return evaluate(objective, images, task.prompt).mean


@pytest.mark.parametrize("name", TASKS)
def test_the_optimum_of_a_task_is_inside(name: str, sampler: Any) -> None:
    """No feedback is worse, as much as possible is worse, and so is liking what does not help."""
    task = TASKS[name]
    good = replace(PARAMS, **task.good)
    found = score(sampler, task, good, task.helpful)
    assert found > score(sampler, task, replace(PARAMS, max_weight=0.0), task.helpful)
    strongest = replace(PARAMS, feedback_end=1.0, max_weight=1.5)
    assert found > score(sampler, task, strongest, task.helpful)
    if set(task.helpful) < set(task.pool):
        assert found > score(sampler, task, good, task.pool)
