"""Synthetic problems where more than one thing is measured.

Those of `synthetic.py`, and besides the score it is measured how much an image keeps of what the
prompt says. The two pull apart: what is wanted lies away from the prompt. Either so much has to be
kept (`bounded-...`), or both are objectives (`front-...`).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from experiments.benchmark.problem import Problem
from experiments.benchmark.quality import Values, quality
from experiments.benchmark.synthetic import SHAPES, Caricature
from fabricbo.records import Action
from fabricbo.scores import Measure, Score

_AT_LEAST = 0.6
"""Kept of the prompt: the best score without the bound lies at 1 / e."""
_REFERENCE_POINTS = (0.0, 0.3)
_DIRECTIONS = 8
"""Weights of the two objectives that the front is sought with."""

_BOUNDED = Measure("concept", at_least=_AT_LEAST)
_OBJECTIVE = Measure("concept", reference_point=_REFERENCE_POINTS[1])

NAMES = tuple(
    f"{kind}-{shape}"
    for kind in ("bounded", "front")
    for shape in ("scalars-4", "pool-4", "pool-8", "pool-8-noisy")
)


def several(name: str, seed: int) -> Problem:
    """Return an instance of one of `NAMES`."""
    kind, _, shape = name.partition("-")
    made = Caricature(SHAPES[shape], seed)
    bounded = kind == "bounded"
    problem = Problem(
        name=name,
        space=made.space,
        evaluate=partial(_evaluate, made),
        pool=made.pool,
        value=partial(_values, made),
        embed=made.embed,
        further=(_BOUNDED if bounded else _OBJECTIVE,),
        reference_point=None if bounded else _REFERENCE_POINTS[0],
    )
    optimum = _best_bounded(made) if bounded else _best_front(made, problem)
    return replace(problem, optimum=optimum)


def _values(made: Caricature, action: Action) -> tuple[float, float]:
    """Return the two scores without noise."""
    attributes = made.attributes(action)
    return float(made.scores_of(attributes)), float(made.left_of_prompt(attributes))


def _evaluate(made: Caricature, action: Action, seed: int) -> tuple[Score, ...]:
    """Score four images."""
    rng = np.random.default_rng([seed, made.seed])
    noise = made.shape.noise * rng.standard_normal((2, 4))
    pairs = zip(_values(made, action), noise, strict=True)
    return tuple(Score(tuple((value + row).tolist())) for value, row in pairs)


def _best_bounded(made: Caricature) -> float:
    return best_bounded(made, partial(_values, made), _BOUNDED)


def best_bounded(
    made: Caricature, values: Callable[[Action], tuple[float, float]], bound: Measure
) -> float:
    """Return the best score of an action that keeps a bound, given both of its values."""

    def value(action: Action) -> float:
        score, concept = values(action)
        return score if bound.allows(concept) else -10 - bound.missed_by(concept)

    return made.search(value)


def _best_front(made: Caricature, problem: Problem) -> float:
    """Return the volume under all that searches in several directions come by."""
    met: list[Values] = []
    for number in range(_DIRECTIONS):
        made.search(_along(made, (number + 0.5) / _DIRECTIONS * math.pi / 2, met), climbs=2)
    return quality(problem.measures, met)


def _along(made: Caricature, angle: float, met: list[Values]) -> Callable[[Action], float]:
    """Return how far an action gets from the reference point in a direction; keeps what it met."""

    def value(action: Action) -> float:
        found = _values(made, action)
        met.append(found)
        gains = [v - low for v, low in zip(found, _REFERENCE_POINTS, strict=True)]
        return min(gains[0] / math.cos(angle), gains[1] / math.sin(angle))

    return value
