"""The honest comparison: baseline and best on seeds that the search never saw."""

from dataclasses import dataclass

from fabricbo.scores import Score


@dataclass(frozen=True, slots=True)
class Heldout:
    """Baseline and best on seeds that the search never saw; image by image with common seeds."""

    baseline_scores: tuple[Score, ...]
    """One a measure, the first objective first."""
    best_scores: tuple[Score, ...]
    """Likewise."""
    baseline_images: tuple[str, ...]
    best_images: tuple[str, ...]

    @property
    def baseline(self) -> Score:
        """The baseline's score by the first objective."""
        return self.baseline_scores[0]

    @property
    def best(self) -> Score:
        """The best trial's score by the first objective."""
        return self.best_scores[0]

    @property
    def difference(self) -> Score:
        """Best minus baseline by the first objective, seed by seed."""
        return self.differences[0]

    @property
    def differences(self) -> tuple[Score, ...]:
        """Best minus baseline, seed by seed, one a measure."""
        return tuple(
            Score(tuple(b - a for a, b in zip(low.by_seed, high.by_seed, strict=True)))
            for low, high in zip(self.baseline_scores, self.best_scores, strict=True)
        )
