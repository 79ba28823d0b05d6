"""Rounds with automatic feedback: the best image is liked, the worst disliked, and both are kept.

As in the authors' `fabric/evaluation/utils.py`: each round draws anew, its best and worst image by
the scorer join the liked and disliked ones of the rounds before, and the next round is conditioned
on all of them. Systems without feedback are measured against their own best and worst images too.
All systems draw a task's round from the same seeds.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from experiments.paper.cost import Meter, plain_evaluations
from experiments.paper.panel import Panel, diversity, similarity
from experiments.paper.results import RoundResult
from experiments.paper.systems import System
from experiments.paper.tasks import Task
from fabricbo.imagefiles import pixel_hash
from fabricbo.protocols import Sampler
from fabricbo.records import Action, FabricParams, Reference

SEEDS_A_TASK = 10_000
SEEDS_A_ROUND = 100
REMEMBERED = 256
"""Images without feedback that an `Artist` remembers."""


class Artist:
    """Draws with one network, and remembers what it drew without feedback.

    In their first round nearly all systems draw the same images.
    """

    def __init__(self, sampler: Sampler) -> None:
        """Wrap a sampler."""
        self._sampler = sampler
        self._plain: OrderedDict[tuple[str, int, float, int], Image.Image] = OrderedDict()

    def __call__(self, action: Action, prompt: str, seeds: Sequence[int]) -> list[Image.Image]:
        """Draw one image for each seed."""
        params = action.params
        if action.liked or action.disliked or params.prompt_dropout:
            return self._sampler(action, prompt, seeds)
        settings = params.guidance_scale, params.denoising_steps
        missing = [seed for seed in seeds if (prompt, seed, *settings) not in self._plain]
        drawn = dict(zip(missing, self._draw(action, prompt, missing), strict=True))
        known = {seed: self._plain.get((prompt, seed, *settings)) for seed in seeds}
        for seed, image in drawn.items():
            self._plain[prompt, seed, *settings] = image
        while len(self._plain) > REMEMBERED:
            self._plain.popitem(last=False)
        return [known[seed] or drawn[seed] for seed in seeds]

    def _draw(self, action: Action, prompt: str, seeds: Sequence[int]) -> list[Image.Image]:
        return self._sampler(action, prompt, seeds) if seeds else []


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a task is played."""

    rounds: int
    images: int
    """A round."""

    def __post_init__(self) -> None:
        if not 1 <= self.rounds < SEEDS_A_TASK // SEEDS_A_ROUND:
            raise ValueError(f"rounds must be 1 to 99, got {self.rounds}")
        if not 2 <= self.images <= SEEDS_A_ROUND:
            raise ValueError(f"images must be 2 to {SEEDS_A_ROUND} a round, got {self.images}")

    def seeds(self, task: Task, number: int) -> tuple[int, ...]:
        """Return the seeds of a round, which counts from 0."""
        first = task.index * SEEDS_A_TASK + number * SEEDS_A_ROUND
        return tuple(range(first, first + self.images))


@dataclass
class _Chosen:
    """The images of one verdict so far."""

    references: list[Reference]
    vectors: list[torch.Tensor]

    def add(self, image: Image.Image, vector: torch.Tensor) -> None:
        self.references.append(Reference(pixel_hash(image), "chosen", image))
        self.vectors.append(vector)

    def similarity(self, vectors: torch.Tensor) -> float | None:
        return similarity(vectors, torch.stack(self.vectors)) if self.vectors else None


def play(
    task: Task, system: System, params: FabricParams, artist: Artist, panel: Panel, plan: Plan
) -> tuple[RoundResult, ...]:
    """Play all rounds of a task."""
    liked, disliked, meter, results = _Chosen([], []), _Chosen([], []), Meter(), []
    for number in range(plan.rounds):
        action = Action(
            params,
            _distinct(liked.references, ()) if system.liked else (),
            _distinct(disliked.references, liked.references) if system.disliked else (),
        )
        images = artist(action, task.prompt, plan.seeds(task, number))
        meter.add(action, len(images))
        scores, vectors = panel.scorer(images, task), panel.embed(images)
        results.append(
            RoundResult(
                scores=tuple(scores),
                judged=tuple(panel.judge(images, task)),
                liked=liked.similarity(vectors),
                disliked=disliked.similarity(vectors),
                diversity=diversity(vectors),
                evaluations=meter.evaluations,
            )
        )
        best, worst = scores.index(max(scores)), scores.index(min(scores))
        liked.add(images[best], vectors[best])
        disliked.add(images[worst], vectors[worst])
    return tuple(results)


def _distinct(
    references: Sequence[Reference], others: Sequence[Reference]
) -> tuple[Reference, ...]:
    """Return each reference once, without those of the other verdict.

    Images that are alike to the pixel are one reference, which can have one verdict only.
    """
    return tuple(dict.fromkeys(r for r in references if r not in others))


def best_of_n(
    task: Task,
    params: FabricParams,
    artist: Artist,
    panel: Panel,
    plan: Plan,
    evaluations: Sequence[int],
) -> tuple[RoundResult, ...]:
    """Draw images without feedback, by each round as many as some evaluations pay for.

    They begin with those that the system without feedback draws in its rounds.

    Args:
        task: what is drawn.
        params: without feedback.
        artist: who draws.
        panel: who looks.
        plan: of the system to compare with.
        evaluations: that it has used by each round.
    """
    counts = [spent // plain_evaluations(params, 1) for spent in evaluations]
    seeds = [seed for number in range(plan.rounds) for seed in plan.seeds(task, number)]
    more = iter(range(task.index * SEEDS_A_TASK + plan.rounds * SEEDS_A_ROUND, 2**62))
    seeds += [next(more) for _ in range(max(counts) - len(seeds))]
    images = artist(Action(params), task.prompt, seeds[: max(counts)])
    scores, judged = panel.scorer(images, task), panel.judge(images, task)
    vectors = panel.embed(images)
    return tuple(
        RoundResult(
            tuple(scores[:count]),
            tuple(judged[:count]),
            None,
            None,
            diversity(vectors[:count]),
            plain_evaluations(params, count),
        )
        for count in counts
    )
