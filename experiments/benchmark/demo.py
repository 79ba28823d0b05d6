"""The tasks of the bundled checkpoint as problems: real images, seconds a trial."""

from functools import cache
from typing import Any

from experiments.benchmark.problem import Problem, ProblemError
from fabricbo.compose import named_objective
from fabricbo.demo.tasks import TASKS
from fabricbo.records import Action, Score
from fabricbo.scoring import evaluate
from fabricbo.study import check_settings
from fabricbo.study.pool import read_pool

PREFIX = "demo:"
IMAGES = 4
"""A trial."""
FRESH_SEEDS = range(9_000_000, 9_000_008)
"""That an action's value is measured on; no trial meets them."""


def demo_problem(name: str) -> Problem:
    """Return the task that `demo:TASK` names.

    Raises:
        ProblemError: there is no such task.
    """
    task = TASKS.get(name.removeprefix(PREFIX))
    if task is None:
        raise ProblemError(f"problem {name}: tasks are {', '.join(TASKS)}")
    settings = check_settings({"name": "benchmark", **task.settings()})
    objective = named_objective(settings)
    pool = read_pool(task.pool_folder)

    def score(action: Action, seeds: range) -> Score:
        return evaluate(objective, _sampler()(action, task.prompt, seeds), task.prompt)

    @cache
    def value(action: Action) -> float:
        return score(action, FRESH_SEEDS).mean

    return Problem(
        name=name,
        space=settings.space.to_space(),
        evaluate=lambda action, seed: score(action, range(IMAGES * seed, IMAGES * (seed + 1))),
        pool=lambda _trials: pool,
        value=value,
        embed=getattr(objective, "embed", None),
    )


@cache
def _sampler() -> Any:
    from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline

    return FabricSampler(load_pipeline(Checkpoint("demo", device="cpu")))
