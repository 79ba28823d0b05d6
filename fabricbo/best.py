"""Which trials are best: by what they are expected to score, bounds kept.

Pure functions of trials and estimates; where a trial is not estimated, the mean of its scores
stands in. A trial with neither (pending, failed, drawn and not judged) is passed over.
"""

from collections.abc import Mapping, Sequence

from fabricbo.assessment import Estimate
from fabricbo.records import Trial
from fabricbo.scores import Measure, Preference

Estimates = Mapping[int, tuple[Estimate, ...]]


def expected_scores(trial: Trial, estimates: Estimates) -> tuple[float, ...]:
    """Return what a trial is expected to score, one a measure; nothing where nobody knows."""
    if trial.index in estimates:
        return tuple(estimate.mean for estimate in estimates[trial.index])
    return tuple(score.mean for score in trial.scores)


def feasible(
    trials: Sequence[Trial], measures: Sequence[Measure], estimates: Estimates
) -> list[Trial]:
    """Return the trials that keep all bounds; those that miss them least if none does."""
    missed = {
        trial: _missed(values, measures)
        for trial in trials
        if (values := expected_scores(trial, estimates))
    }
    least = min(missed.values(), default=0.0)
    return [trial for trial, amount in missed.items() if amount <= least]


def broken_bounds(trial: Trial, measures: Sequence[Measure], estimates: Estimates) -> list[str]:
    """Return the bounds that a trial's expected scores do not keep, in words."""
    pairs = zip(measures, expected_scores(trial, estimates), strict=True)
    return [measure.bounds_text for measure, value in pairs if not measure.allows(value)]


def _missed(values: Sequence[float], measures: Sequence[Measure]) -> float:
    """Return by how much bounds are missed in all; 0 where all are kept."""
    total = 0.0
    for measure, value in zip(measures, values, strict=True):
        if measure.at_least is not None:
            total += max(measure.at_least - value, 0.0)
        if measure.at_most is not None:
            total += max(value - measure.at_most, 0.0)
    return total


def pareto(
    trials: Sequence[Trial], measures: Sequence[Measure], estimates: Estimates
) -> list[Trial]:
    """Return the trials that none other beats in all objectives, bounds kept, in order."""
    kept = feasible(trials, measures, estimates)
    values = {trial: _objectives(trial, measures, estimates) for trial in kept}
    return [
        trial for trial in kept if not any(_dominates(v, values[trial]) for v in values.values())
    ]


def best(
    trials: Sequence[Trial], measures: Sequence[Measure], estimates: Estimates
) -> Trial | None:
    """Return the best trial, the first of equals; None without any.

    With several objectives the one of the Pareto front whose least gain over the hand settings
    (trial 0, or the front's worst without it) is largest, gains being measured in the range of
    each objective over all trials.
    """
    front = pareto(trials, measures, estimates)
    if not front:
        return None
    known = [trial for trial in trials if expected_scores(trial, estimates)]
    values = {trial: _objectives(trial, measures, estimates) for trial in known}
    columns = list(zip(*values.values(), strict=True))
    ranges = [max(column) - min(column) or 1.0 for column in columns]
    base = next((v for t, v in values.items() if t.index == 0), tuple(map(min, columns)))

    def least_gain(trial: Trial) -> float:
        triples = zip(values[trial], base, ranges, strict=True)
        return float(min((value - low) / range_ for value, low, range_ in triples))

    return max(front, key=least_gain)


def most_preferred(trials: Sequence[Trial], preferences: Sequence[Preference]) -> Trial | None:
    """Return the trial that won the largest share of its comparisons, a tie being half a win."""
    wins: dict[int, float] = {}
    count: dict[int, int] = {}
    for one in preferences:
        for index, won in ((one.better, 1.0), (one.worse, 0.0)):
            wins[index] = wins.get(index, 0.0) + (0.5 if one.tie else won)
            count[index] = count.get(index, 0) + 1
    judged = [trial for trial in trials if trial.index in count]
    # One comparison won says less than three: a win and a loss are added to all.
    share = {t: (wins[t.index] + 1) / (count[t.index] + 2) for t in judged}
    return max(share, key=lambda trial: share[trial], default=None)


def _objectives(
    trial: Trial, measures: Sequence[Measure], estimates: Estimates
) -> tuple[float, ...]:
    """Return the expected scores of the objectives, turned so that higher is better."""
    pairs = zip(measures, expected_scores(trial, estimates), strict=True)
    return tuple(
        value if measure.direction == "maximize" else -value
        for measure, value in pairs
        if not measure.is_constraint
    )


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)
