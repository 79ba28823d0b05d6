"""Tasks of the bundled checkpoint as problems: real images, seconds a trial.

Those of `fabricbo demo`, and some that exist for the benchmark: a background to be found, two
objectives that pull apart, colourfulness that may not cost the object, several prompts.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from experiments.benchmark.problem import Problem, ProblemError
from fabricbo.compose import named_objectives
from fabricbo.demo import pools_folder, references_folder
from fabricbo.demo.tasks import DEFAULT_TASK, TASKS
from fabricbo.executors.drawing import Plan, Scene, draw, score_values
from fabricbo.protocols import Objective
from fabricbo.records import Action
from fabricbo.scores import Score
from fabricbo.study import StudySettings, check_settings
from fabricbo.study.measures import study_measures
from fabricbo.study.over_prompts import score_over_prompts
from fabricbo.study.parts import objectives_by_name
from fabricbo.study.pool import read_pool

PREFIX = "demo:"
IMAGES = 4
"""A trial and prompt."""
FRESH_SEEDS = tuple(range(9_000_000, 9_000_008))
"""That an action's value is measured on; no trial meets them."""


def _study(prompt: str | list[str], pool: str, objective: Any, **settings: Any) -> dict[str, Any]:
    """Return what a study file of the benchmark's own tasks holds."""
    space = TASKS[DEFAULT_TASK].settings()["space"]
    return {
        "prompt": prompt,
        "space": space,
        "pool": {"folder": pools_folder() / pool},
        "objective": objective,
        **settings,
    }


def _like(target: str) -> dict[str, Any]:
    return {"name": "target-similarity", "target": str(references_folder() / f"{target}.png")}


def _concept(text: str) -> dict[str, Any]:
    return {"name": "text-similarity", "label": "concept", "text": text}


OWN: Mapping[str, dict[str, Any]] = {
    "background-only": _study("a sketch cat", "style-and-background", _like("cat-sketch-green")),
    "concept-and-style": _study(
        "a dog",
        "style-only",
        [
            {**_concept("a dog"), "reference_point": 0.4},
            {
                "name": "target-similarity",
                "label": "style",
                "target": str(pools_folder() / "style-only" / "lion-gold-red.png"),
                "reference_point": 0.2,
            },
        ],
    ),
    "colourful-concept": _study(
        "a fox",
        "harmful-pool",
        [{"name": "colourfulness"}, _concept("a fox")],
        constraints=["concept >= 0.5"],
    ),
    "several-prompts": _study(
        ["a fox on a green background", "a panda on a green background"],
        "harmful-pool",
        _like("fox-gold-green"),
    ),
}
"""Study files, as it were, by name."""
NAMES = (*TASKS, *OWN)


def demo_problem(name: str) -> Problem:
    """Return the task that `demo:TASK` names.

    Raises:
        ProblemError: there is no such task.
    """
    task = name.removeprefix(PREFIX)
    if task not in NAMES:
        raise ProblemError(f"problem {name}: tasks are {', '.join(NAMES)}")
    given = TASKS[task].settings() if task in TASKS else OWN[task]
    settings = check_settings({"name": "benchmark", "images": IMAGES, **given})
    objectives = _objectives(settings)
    measures = study_measures(objectives, settings)
    pool = read_pool(settings.pool.folder) if settings.pool.folder else ()

    @cache
    def scores(action: Action, seeds: Sequence[int]) -> tuple[Score, ...]:
        plan = Plan(dict.fromkeys(settings.prompts, tuple(seeds)), settings.images)
        batches = draw(demo_sampler(), action, plan)
        found = score_values(objectives, batches, Scene(action, pool, lambda _prompt: ()))
        count = len(settings.prompts)
        return tuple(
            score_over_prompts(found[measure.name], count, settings, measure)
            for measure in measures
        )

    def evaluated(action: Action, seed: int) -> Score | tuple[Score, ...]:
        found = scores(action, tuple(range(IMAGES * seed, IMAGES * (seed + 1))))
        return found if len(found) > 1 else found[0]

    def value(action: Action) -> float | tuple[float, ...]:
        means = tuple(score.mean for score in scores(action, FRESH_SEEDS))
        return means if len(means) > 1 else means[0]

    return Problem(
        name=name,
        space=settings.space.to_space(),
        evaluate=evaluated,
        pool=lambda _trials: pool,
        value=value,
        embed=next((one.embed for one in objectives.values() if hasattr(one, "embed")), None),
        direction=measures[0].direction,
        further=measures[1:],
        reference_point=measures[0].reference_point,
    )


def _objectives(settings: StudySettings) -> Mapping[str, Objective]:
    named = named_objectives(settings)
    return named if len(named) > 1 else objectives_by_name(*named.values())


@cache
def demo_sampler() -> Any:
    """Return the bundled checkpoint's sampler, on one machine's CPU."""
    from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline

    return FabricSampler(load_pipeline(Checkpoint("demo", device="cpu")))
