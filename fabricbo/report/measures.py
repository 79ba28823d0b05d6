"""Everything that is measured: scores by name, and which bounds are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from fabricbo.records import Trial
from fabricbo.report.known import Known
from fabricbo.report.wording import score_text
from fabricbo.scores import Measure, Score


@dataclass(frozen=True)
class ScoreLine:
    """One score of a trial."""

    name: str
    """Of the measure; empty where there is only one."""
    score: str
    breaks: bool
    """Whether the mean of these images breaks the measure's bound."""


@dataclass(frozen=True)
class MeasureRow:
    """A measure, with hand settings and best trial side by side."""

    name: str
    aim: str
    """What is wanted of it: `maximize`, or its bound."""
    hand: str
    best: str
    difference: str
    """Best minus hand settings on fresh seeds; empty before those are drawn."""
    breaks: bool
    """Whether the best breaks the bound."""


def score_lines(trial: Trial, measures: Sequence[Measure]) -> list[ScoreLine]:
    """Return a trial's scores, the first objective's first; none before it is scored."""
    named = len(measures) > 1
    return [
        ScoreLine(measure.name if named else "", score_text(score), not measure.allows(score.mean))
        for measure, score in trial.by_measure(measures)
    ]


def broken_texts(known: Known, trial: Trial) -> list[str]:
    """Say which bounds a scored trial breaks: by its images, by what is expected, or by both."""
    pairs = trial.by_measure(known.study.measures)
    if not pairs:
        return []
    expected = known.broken.get(trial.index, [])
    found = [measure.bounds_text for measure, score in pairs if not measure.allows(score.mean)]
    both = [f"breaks {bound}" for bound in found if bound in expected]
    here = [f"breaks {b} here, but is expected to keep it" for b in found if b not in expected]
    later = [f"keeps {b} here, but is expected to break it" for b in expected if b not in found]
    return [*both, *here, *later]


def unkept(known: Known) -> str | None:
    """Name the bounds that no trial keeps; None where the best keeps all of them."""
    if known.best is None or known.best.index not in known.broken:
        return None
    if known.any_keeps:
        missed = " and ".join(known.broken[known.best.index])
        return f"No trial that people judged keeps all bounds yet; the best misses {missed}."
    first, *others = known.broken.values()
    always = [bound for bound in first if all(bound in broken for broken in others)]
    what = " and none keeps ".join(always) if always else "all bounds at once"
    return f"No trial keeps {what} yet; the best is one that misses the bounds least."


def measure_rows(known: Known) -> list[MeasureRow]:
    """Compare hand settings and best by each measure; nothing where there is only one."""
    study, best = known.study, known.best
    baseline, heldout = study.baseline, study.heldout
    if len(study.measures) == 1 or best is None or baseline is None:
        return []
    nothing: Sequence[Score | None] = [None] * len(study.measures)
    hand_scores: Sequence[Score | None] = baseline.scores
    # One that people judged may be the best before it has a score.
    best_scores = best.scores or nothing
    differences = nothing
    if heldout is not None:
        hand_scores = tuple(one.baseline for one in heldout.searched)
        best_scores = tuple(one.best for one in heldout.searched)
        differences = [one.difference for one in heldout.searched]
    rows = zip(study.measures, hand_scores, best_scores, differences, strict=True)
    return [
        MeasureRow(
            name=measure.name,
            aim=measure.bounds_text if measure.is_constraint else measure.direction,
            hand=score_text(hand),
            best=score_text(found),
            difference=score_text(difference),
            breaks=found is not None and not measure.allows(found.mean),
        )
        for measure, hand, found, difference in rows
    ]
