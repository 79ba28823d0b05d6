"""The honest comparison: baseline and best on seeds that the search never saw."""

from dataclasses import dataclass

from fabricbo.records import Score


@dataclass(frozen=True, slots=True)
class Heldout:
    """Baseline and best on seeds that the search never saw; image by image with common seeds."""

    baseline: Score
    best: Score
    baseline_images: tuple[str, ...]
    best_images: tuple[str, ...]

    @property
    def difference(self) -> Score:
        """Best minus baseline, seed by seed."""
        pairs = zip(self.best.values, self.baseline.values, strict=True)
        return Score(tuple(best - baseline for best, baseline in pairs))
