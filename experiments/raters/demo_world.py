"""Tasks of the bundled checkpoint, rated by a taste in style, background and sharpness."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL.Image import Image

from experiments.benchmark.problem import ProblemError
from experiments.raters.world import World
from fabricbo.demo import references_folder
from fabricbo.demo.tasks import TASKS, DemoTask
from fabricbo.imagefiles import image_files, open_image
from fabricbo.records import Action, Role
from fabricbo.study import check_settings
from fabricbo.study.pool import read_pool
from objectives.burnt import sharpness
from objectives.similarity import TextSimilarity

FRESH_SEEDS = tuple(range(9_000_000, 9_000_008))
"""That an action's value is measured on; no study meets them."""


def demo_world(name: str, seed: int) -> World:
    """Return a task with a taste drawn from a seed.

    The ideal is what the task's good settings and helpful references come to: the best known,
    not the best there is.

    Raises:
        ProblemError: there is no such task.
    """
    if name not in TASKS:
        raise ProblemError(f"tasks are {', '.join(TASKS)}, got {name}")
    task, taste = TASKS[name], _Taste(TASKS[name], seed)
    given = {k: v for k, v in task.settings().items() if k != "objective"}
    settings = check_settings({"name": "world", "rating": {}, **given})
    pool, space = read_pool(task.pool_folder), settings.space.to_space()
    sampler = _sampler()

    @cache
    def value(action: Action) -> float:
        images = sampler(action, task.prompt, FRESH_SEEDS)
        return float(np.mean([taste(image) for image in images]))

    roles = {r.id: Role.LIKED if r.name in task.helpful else Role.UNUSED for r in pool}
    return World(
        name=f"demo:{name}",
        settings={**given, "seed": seed},
        space=space,
        pool=pool,
        sampler=sampler,
        taste=taste,
        value=value,
        ideal=value(space.action(task.good, roles, pool)),
        embed=taste.embed,
    )


class _Taste:
    """A weighting of how far the style, the background and the sharpness are the target's.

    Each is in standard deviations over the bundled pictures.
    """

    def __init__(self, task: DemoTask, seed: int) -> None:
        concept, style, background = task.target.split("-")
        self._style = TextSimilarity(f"a {concept}, {style} style")
        self._background = TextSimilarity(f"a {concept} on a {background} background")
        self._weights = np.random.default_rng([seed, 6]).dirichlet((4.0, 4.0, 2.0))
        bundled = np.array(
            [self._measured(open_image(f)) for f in image_files(references_folder())]
        )
        self._mean, self._spread = bundled.mean(0), bundled.std(0)

    def __call__(self, image: Image) -> float:
        standard = (np.array(self._measured(image)) - self._mean) / self._spread
        return float(self._weights @ standard)

    def embed(self, images: Sequence[Image]) -> Any:
        """Return embeddings of the bundled scorer, as a judged study has them too."""
        return self._style.embed(images)

    def _measured(self, image: Image) -> tuple[float, float, float]:
        one = [image]
        return (*self._style(one, ""), *self._background(one, ""), *sharpness(one, ""))


@cache
def _sampler() -> Any:
    from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline

    return FabricSampler(load_pipeline(Checkpoint("demo", device="cpu")))
