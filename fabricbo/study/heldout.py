"""The honest comparison: baseline and best on seeds, and prompts, that the search never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fabricbo.protocols import Objective
from fabricbo.scores import Direction, Measure, Score
from fabricbo.scoring import declaration
from fabricbo.study.over_prompts import score_over_prompts
from fabricbo.study.settings import StudySettings


@dataclass(frozen=True, slots=True)
class HeldoutRow:
    """What is stored of one trial's action on held-out seeds."""

    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    """By the name of what scored, prompt after prompt."""
    images: tuple[str, ...]
    """Identities in the image store, prompt after prompt."""
    reporters: tuple["Reporter", ...] = ()
    """Which of the names the search never saw."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """An objective that the search never sees."""

    name: str
    direction: Direction

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Baseline and best by one measure; value by value with common seeds."""

    measure: Measure
    baseline: Score
    best: Score
    searched: bool = True
    """Whether the search went by it."""

    @property
    def difference(self) -> Score:
        """Best minus baseline, seed by seed."""
        pairs = zip(self.baseline.by_seed, self.best.by_seed, strict=True)
        return Score(tuple(b - a for a, b in pairs))

    @property
    def gain(self) -> Score:
        """The difference, positive where the best is better."""
        sign = 1 if self.measure.direction == "maximize" else -1
        return Score(tuple(sign * value for value in self.difference.values))


@dataclass(frozen=True, slots=True)
class Heldout:
    """Baseline and best side by side, by every measure and every reporting objective."""

    prompts: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    """The first objective first; what the search never saw comes last."""
    baseline_images: tuple[str, ...]
    best_images: tuple[str, ...]

    @property
    def searched(self) -> tuple[Comparison, ...]:
        """By what the search went, one a measure of the study."""
        return tuple(one for one in self.comparisons if one.searched)

    @property
    def reported(self) -> tuple[Comparison, ...]:
        """By what the search never saw."""
        return tuple(one for one in self.comparisons if not one.searched)

    @property
    def first(self) -> Comparison:
        """By the first objective."""
        return self.comparisons[0]


def reporters_of(objectives: Mapping[str, Objective]) -> tuple[Reporter, ...]:
    """Return what is stored about objectives that the search never sees."""
    return tuple(Reporter(name, declaration(one).direction) for name, one in objectives.items())


def read_heldout(
    settings: StudySettings, measures: Sequence[Measure], baseline: HeldoutRow, best: HeldoutRow
) -> tuple[Heldout, Heldout | None]:
    """Return the comparison on the study's prompts, and that on held-out ones if there are any.

    What is not stored of both trials is left out: they may be of different days.
    """
    named = [(measure, True) for measure in measures]
    named += [(Measure(one.name, one.direction), False) for one in best.reporters]
    kept = [(m, seen) for m, seen in named if {m.name} <= baseline.values.keys() & best.values]
    split = len(settings.prompts)
    sets = [settings.prompts, settings.heldout_prompts]

    def part(texts: tuple[str, ...], *, own: bool) -> Heldout:
        def cut(values: Sequence[Any]) -> tuple[Any, ...]:
            border = len(values) // (split + len(sets[1])) * split
            return tuple(values[:border] if own else values[border:])

        def score(row: HeldoutRow, measure: Measure) -> Score:
            values = cut(row.values[measure.name])
            return score_over_prompts(values, len(texts), settings, measure)

        compared = (Comparison(m, score(baseline, m), score(best, m), s) for m, s in kept)
        return Heldout(texts, tuple(compared), cut(baseline.images), cut(best.images))

    return part(sets[0], own=True), part(sets[1], own=False) if sets[1] else None
