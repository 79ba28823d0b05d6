"""Synthetic problems: a caricature of FABRIC that is scored in microseconds.

An image is a vector of attributes. Without feedback it is what the prompt says, which is not what
is wanted. Each reference has attributes of its own; at each denoising step in the window it gets
the share of the attention that a softmax gives it (liked ones in the conditional, disliked ones in
the unconditional pass, times guidance) and pulls or pushes the image by as much. Attributes
differ in when they are decided: some in early steps, some in late ones. The score is the
similarity to the wanted attributes, exp(-squared distance), so too much feedback is as wrong as
too little, and where in the window it belongs depends on what it is to change.

This is not the surrogate's own model: masses are by step and reference, with affinities that the
surrogate does not see, and their effects on the score are neither linear nor separable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.benchmark.problem import Problem
from fabricbo.records import Action, FabricParams, Reference, Role
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range

Vector = npt.NDArray[np.float64]

ATTRIBUTES = 6
STEPS = 20
KINDS = 4
"""Groups of references that look alike: one helps, one does nothing, two harm."""
UNCHOSEN = 4
"""References of instances whose roles do not vary."""


@dataclass(frozen=True, eq=False)
class _Picture:
    """Stands in for the image of a reference."""

    embedding: Vector


@dataclass(frozen=True)
class Shape:
    """What an instance is like."""

    references: int
    scalars: int = 4
    """Parameters that vary: the first so many of `_DOMAINS`."""
    noise: float = 0.08
    """Standard deviation of a single image's score."""
    grows: bool = False
    """Whether the pool starts with a third of the references and gets the others by and by."""


_DOMAINS = {
    "max_weight": Range(0.0, 1.5),
    "feedback_end": Range(0.0, 1.0),
    "feedback_start": Range(0.0, 1.0),
    "neg_scale": Range(0.0, 1.0),
    "guidance_scale": Range(1.0, 12.0),
    "min_weight": Range(0.0, 0.5),
    "pos_bottleneck_scale": Range(0.0, 2.0),
    "neg_bottleneck_scale": Range(0.0, 2.0),
}
TRIALS_A_ROUND = 6


class Caricature:
    """One instance, drawn from a seed."""

    def __init__(self, shape: Shape, seed: int) -> None:
        """Draw what is wanted, what the prompt gives and what the references show."""
        rng = np.random.default_rng([seed, 2307, 10159])
        self.shape, self.seed = shape, seed
        names = list(_DOMAINS)[: shape.scalars]
        caps = max(1, min(8, shape.references))
        hand = FabricParams()
        self.space = ActionSpace(
            {name: _DOMAINS[name] for name in names}, hand, bool(shape.references), caps, caps
        )
        self._prompt = rng.normal(size=ATTRIBUTES)
        gap = rng.normal(size=ATTRIBUTES)
        self._gap = 1.3 * gap / np.linalg.norm(gap)
        self._when = _profiles(rng)
        self._references = self._draw_references(rng)
        self._affinity = {r.id: float(rng.normal(0, 0.4)) for r in self._references}
        self._without = self._similarity(self._prompt)

    def _draw_references(self, rng: np.random.Generator) -> tuple[Reference, ...]:
        """Draw references in groups that look alike; the first of the groups helps."""
        directions = [self._gap * rng.uniform(1.2, 2.0), np.zeros(ATTRIBUTES)]
        directions += [_harmful(self._gap, rng) for _ in range(KINDS - 2)]
        self._attributes: dict[str, Vector] = {}
        mixing = rng.normal(size=(ATTRIBUTES, 16))
        references = []
        for number in range(self.shape.references or UNCHOSEN):
            kind = int(rng.integers(KINDS)) if number else 0
            shown = self._prompt + directions[kind] + 0.35 * rng.normal(size=ATTRIBUTES)
            name = f"r{number}"
            picture: Any = _Picture(shown @ mixing + 0.5 * rng.normal(size=16))
            self._attributes[name] = shown
            role = Role.LIKED if rng.random() < 0.5 else Role.DISLIKED
            references.append(Reference(name, name, picture, role))
        return tuple(references)

    def pool(self, trials: int) -> tuple[Reference, ...]:
        """Return the references of the round that the next trial belongs to."""
        if not self.shape.grows:
            return self._references
        round_ = max(trials - 1, 0) // TRIALS_A_ROUND
        return self._references[: (1 + round_) * max(self.shape.references // 3, 1)]

    def value(self, action: Action) -> float:
        """Return the score without noise: 0 without feedback, 1 where all is as wanted."""
        return float(self.scores_of(self.attributes(action)))

    def attributes(self, action: Action) -> Vector:
        """Return what an action's images show."""
        params = action.params
        weights = _weights(params)
        liked = self._pull(action.liked, weights * params.pos_bottleneck_scale**0.5)
        disliked = self._pull(
            action.disliked, weights * params.neg_scale * params.neg_bottleneck_scale**0.5
        )
        guidance = max(params.guidance_scale, 1.0)
        moved = liked * (0.7 + 0.04 * guidance)
        if guidance > 1:
            moved = moved - disliked * 0.04 * (guidance - 1)
        return np.asarray(self._prompt + moved, dtype=np.float64)

    def scores_of(self, attributes: Vector) -> Vector:
        """Return how near attributes, `... attributes`, are to what is wanted."""
        return (self._similarity(attributes) - self._without) / (1 - self._without)

    def left_of_prompt(self, attributes: Vector) -> Vector:
        """Return how much of what the prompt says attributes, `... attributes`, keep, in (0, 1]."""
        squared = np.square(attributes - self._prompt).sum(-1) / np.square(self._gap).sum()
        return np.asarray(np.exp(-squared))

    def shown_by(self, reference: Reference) -> Vector:
        """Return the attributes of a reference."""
        return self._attributes[reference.id]

    def evaluate(self, action: Action, seed: int) -> Score:
        """Score four images."""
        rng = np.random.default_rng([seed, self.seed])
        noise = self.shape.noise * rng.standard_normal(4)
        return Score(tuple(float(v) for v in self.value(action) + noise))

    def embed(self, images: Sequence[_Picture]) -> Vector:
        """Return the embeddings of references."""
        return np.stack([image.embedding for image in images])

    def _pull(self, references: Sequence[Reference], weights: Vector) -> Vector:
        """Return how far references move the image from what the prompt gives."""
        if not references:
            return np.zeros(ATTRIBUTES)
        likeness = np.exp([self._affinity.get(r.id, 0.0) for r in references])
        mass = weights[:, None] * likeness / (1 + weights[:, None] * likeness.sum())
        shown = np.stack([self.shown_by(r) for r in references]) - self._prompt
        by_step: Vector = mass @ shown
        moved: Vector = (self._when * by_step).sum(0)
        return moved

    def _similarity(self, images: Vector) -> Vector:
        return np.asarray(np.exp(-np.square(images - self._prompt - self._gap).sum(-1)))

    @cached_property
    def optimum(self) -> float:
        """The best value that a long search finds, with the whole pool."""
        return self.search(self.value)

    def search(self, value: Callable[[Action], float], climbs: int = 6) -> float:
        """Return the largest value that a long search finds: many random points, climbs from some.

        Args:
            value: of an action.
            climbs: from so many of the best random points.
        """
        rng = np.random.default_rng([self.seed, 99])
        dimensions = self.space.dimensions(self._references)
        points = rng.random((400 + 40 * dimensions, dimensions))
        scored = [(value(self._action(point)), point) for point in points]
        leaders = sorted(scored, key=lambda pair: -pair[0])[:climbs]
        return max(self._climb(value, best, point, rng) for best, point in leaders)

    def _action(self, point: Vector) -> Action:
        return self.space.from_unit(point.tolist(), self._references)

    def _climb(
        self,
        value: Callable[[Action], float],
        best: float,
        point: Vector,
        rng: np.random.Generator,
    ) -> float:
        scalars = len(self.space.parameters)
        for turn in range(1500):
            moved = point.copy()
            step = 0.3 * 0.998**turn
            chosen = rng.random(scalars) < 0.5
            moved[:scalars] = np.clip(moved[:scalars] + chosen * rng.normal(0, step, scalars), 0, 1)
            if len(point) > scalars and rng.random() < 0.5:
                moved[rng.integers(scalars, len(point))] = rng.choice((1 / 6, 1 / 2, 5 / 6))
            found = value(self._action(moved))
            if found > best:
                best, point = found, moved
        return best


def _harmful(gap: Vector, rng: np.random.Generator) -> Vector:
    away = rng.normal(size=ATTRIBUTES)
    away -= 0.7 * gap * (away @ gap) / (gap @ gap)
    away *= 1.5 / np.linalg.norm(away)
    return away - rng.uniform(0.0, 0.7) * gap


def _profiles(rng: np.random.Generator) -> Vector:
    """Return when attributes are decided, `steps attributes`; each column sums to 1."""
    peaks, widths = rng.uniform(0.05, 0.75, ATTRIBUTES), rng.uniform(0.12, 0.3, ATTRIBUTES)
    times = (np.arange(STEPS)[:, None] + 0.5) / STEPS
    raw = np.exp(-0.5 * np.square((times - peaks) / widths))
    return np.asarray(raw / raw.sum(0), dtype=np.float64)


def _weights(params: FabricParams) -> Vector:
    """Return the feedback weight at each step."""
    weights = np.full(STEPS, params.min_weight, dtype=np.float64)
    weights[list(params.window(STEPS))] = params.max_weight
    return weights


SHAPES = {
    "scalars-2": Shape(references=0, scalars=2),
    "scalars-4": Shape(references=0, scalars=4),
    "pool-4": Shape(references=4),
    "pool-8": Shape(references=8),
    "pool-8-noisy": Shape(references=8, noise=0.25),
    "pool-16": Shape(references=16, scalars=5),
    "pool-32": Shape(references=32, scalars=8),
    "growing-12": Shape(references=12, grows=True),
}
"""From 2 to 40 dimensions."""


def synthetic(name: str, seed: int) -> Problem:
    """Return an instance of a shape."""
    made = Caricature(SHAPES[name], seed)
    return Problem(
        name=name,
        space=made.space,
        evaluate=made.evaluate,
        pool=made.pool,
        value=made.value,
        optimum=made.optimum,
        embed=made.embed,
    )
