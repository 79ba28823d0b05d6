"""What a benchmark problem is, and finding one by name.

A problem is any object with `space` (an `ActionSpace`) and `evaluate(action, seed) -> Score`. It
may also have `pool` (references, or a function from the number of trials so far to them),
`direction`, `value(action)` (the score without noise), `optimum` (the best value there is),
and `embed(images)`; what it lacks is filled in here. With `further` (what else is measured, see
`History.further`) `evaluate` and `value` return a tuple, one score or number a measure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fabricbo.records import Action, Reference
from fabricbo.scores import Direction, Measure, Score
from fabricbo.scoring import load_code
from fabricbo.space import ActionSpace


class ProblemError(Exception):
    """There is no such problem, or it is none."""


@dataclass(frozen=True)
class Problem:
    """A problem with everything that it may leave out."""

    name: str
    space: ActionSpace
    evaluate: Callable[[Action, int], Score | tuple[Score, ...]]
    pool: Callable[[int], tuple[Reference, ...]]
    """References by the number of trials so far."""
    value: Callable[[Action], float | tuple[float, ...]] | None = None
    """The score without noise; None where nobody knows it, and scores as seen have to do."""
    optimum: float | None = None
    direction: Direction = "maximize"
    embed: Callable[[Sequence[Any]], Any] | None = None
    further: tuple[Measure, ...] = ()
    reference_point: float | None = None
    """Of the first objective, where there are several."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All that is measured, the first objective first."""
        first = Measure("score", self.direction, reference_point=self.reference_point)
        return (first, *self.further)


def adapted(name: str, given: Any) -> Problem:
    """Fill in what an object leaves out.

    Raises:
        ProblemError: it has no `space` or no `evaluate`.
    """
    if isinstance(given, Problem):
        return given
    for needed in ("space", "evaluate"):
        if not hasattr(given, needed):
            raise ProblemError(f"problem {name} needs {needed!r} and has none")
    pool = getattr(given, "pool", ())
    return Problem(
        name=name,
        space=given.space,
        evaluate=given.evaluate,
        pool=pool if callable(pool) else lambda _trials: tuple(pool),
        value=getattr(given, "value", None),
        optimum=getattr(given, "optimum", None),
        direction=getattr(given, "direction", "maximize"),
        embed=getattr(given, "embed", None),
        further=tuple(getattr(given, "further", ())),
        reference_point=getattr(given, "reference_point", None),
    )


def load_problem(name: str) -> Problem:
    """Find a problem by `module:name` or `file.py:name`, which runs that code.

    Raises:
        ProblemError: not found, not importable, or no problem.
    """
    if ":" not in name:
        raise ProblemError(f"problem must be module:name or file.py:name, got {name!r}")
    try:
        given = load_code(name)
    except Exception as error:  # importing runs somebody's code, which may raise anything
        raise ProblemError(f"problem {name}: {type(error).__name__}: {error}") from error
    return adapted(name, given)
