"""Which trials are best: by what they are expected to score, bounds kept.

Pure functions of trials and estimates; where a trial is not estimated, the mean of its scores
stands in. A trial with neither (pending, failed, drawn and not judged) is passed over.

Estimates of one and the same value differ a little from trial to trial, so they are compared with
a tolerance; scores are compared as they are.
"""

import math
from collections.abc import Mapping, Sequence

from fabricbo.assessment import Assessment, Estimate
from fabricbo.records import Trial
from fabricbo.scores import Measure, Preference

Estimates = Mapping[int, tuple[Estimate, ...]]

_JITTER = 0.01
"""What estimates are exact to, as a share of their spread: root of the surrogate's least noise."""
_ROUNDING = 1e-9
"""What is left of a sum, as a share of it."""


def expected_scores(trial: Trial, estimates: Estimates) -> tuple[float, ...]:
    """Return what a trial is expected to score, one a measure; nothing where nobody knows."""
    if trial.index in estimates:
        return tuple(estimate.mean for estimate in estimates[trial.index])
    return tuple(score.mean for score in trial.scores)


def feasible(
    trials: Sequence[Trial], measures: Sequence[Measure], estimates: Estimates
) -> list[Trial]:
    """Return the trials that keep all bounds; those that miss them least if none does.

    Misses of several bounds are added in units of their spread over the trials.
    """
    known = [trial for trial in trials if expected_scores(trial, estimates)]
    return not_known_to_break(known, measures, estimates)


def not_known_to_break(
    trials: Sequence[Trial], measures: Sequence[Measure], estimates: Estimates
) -> list[Trial]:
    """Do as `feasible` does, but keep trials of which nobody knows what they score."""
    known = [_expected(trial, measures, estimates) for trial in trials]
    spreads = {m: _spread([values[m] for values in known if m in values]) for m in measures}
    missed = {
        trial: math.fsum(
            miss / (spreads[measure] or 1.0)
            for measure, miss in _misses(trial, measures, estimates).items()
        )
        for trial in trials
    }
    least = min(missed.values(), default=0.0)
    close = least + (_JITTER if least and estimates else 0.0)
    return [trial for trial, amount in missed.items() if amount <= close]


def worth_comparing(trials: Sequence[Trial], measures: Sequence[Measure]) -> Sequence[Trial]:
    """Return the trials whose images keep all bounds; all of them where those are fewer than two.

    The others cannot be the best, however much they please.
    """
    kept = not_known_to_break(trials, measures, {})
    return kept if len(kept) > 1 else trials


def _expected(
    trial: Trial, measures: Sequence[Measure], estimates: Estimates
) -> dict[Measure, float]:
    """Do as `expected_scores` does by measure, also for what is measured where people decide."""
    if trial.index in estimates:
        return dict(zip(measures, expected_scores(trial, estimates), strict=True))
    return {measure: score.mean for measure, score in trial.by_measure(measures)}


def broken_bounds(trial: Trial, measures: Sequence[Measure], estimates: Estimates) -> list[str]:
    """Return the bounds that a trial's expected scores do not keep, in words.

    None of a trial of which nobody knows what it scores.
    """
    return [measure.bounds_text for measure in _misses(trial, measures, estimates)]


def _misses(
    trial: Trial, measures: Sequence[Measure], estimates: Estimates
) -> dict[Measure, float]:
    """Return by how much bounds are missed, where that is more than the tolerance."""
    values = _expected(trial, measures, estimates)
    tolerances = zip(measures, _tolerances(trial, measures, estimates), strict=True)
    return {
        measure: miss
        for measure, slack in tolerances
        if measure in values and (miss := measure.missed_by(values[measure])) > slack
    }


def _tolerances(trial: Trial, measures: Sequence[Measure], estimates: Estimates) -> list[float]:
    """Return by how much each estimate may miss a bound that counts as kept.

    By what estimates are exact to; by its own standard error where the images kept the bound. The
    benefit of the doubt is not for those whose images did not: bounds are met at their edge, where
    it would let through about every second trial that breaks them.
    """
    if trial.index not in estimates:
        return [0.0] * len(measures)
    found = []
    spreads = _spreads([tuple(e.mean for e in of_one) for of_one in estimates.values()])
    for number, (measure, estimate) in enumerate(
        zip(measures, estimates[trial.index], strict=True)
    ):
        slack = _JITTER * spreads[number] + _ROUNDING * abs(estimate.mean)
        kept = bool(trial.scores) and measure.allows(trial.scores[number].mean)
        found.append(max(slack, estimate.standard_error) if kept else slack)
    return found


def _spreads(rows: Sequence[Sequence[float]]) -> list[float]:
    """Return the standard deviation of each column; nothing without rows."""
    return [_spread(column) for column in zip(*rows, strict=True)]


def _spread(values: Sequence[float]) -> float:
    """Return the standard deviation; 0 of nothing."""
    if not values:
        return 0.0
    mean = math.fsum(value / len(values) for value in values)
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values))


def pareto(
    trials: Sequence[Trial], measures: Sequence[Measure], estimates: Estimates
) -> list[Trial]:
    """Return the trials that none other beats in all objectives, bounds kept, in order."""
    kept = feasible(trials, measures, estimates)
    values = [_objectives(trial, measures, estimates) for trial in kept]
    exact_to = [_JITTER * s if estimates else 0.0 for s in _spreads(values)]
    strongest = sorted(values, reverse=True)  # most trials are beaten by the first of them
    return [
        trial
        for trial, own in zip(kept, values, strict=True)
        if not any(_dominates(one, own, exact_to) for one in strongest)
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


def best_judged(
    trials: Sequence[Trial], measures: Sequence[Measure], found: Assessment
) -> Trial | None:
    """Return the trial that people find best, among those not known to break a bound.

    Args:
        trials: all trials.
        measures: what has bounds to keep.
        found: the utilities, and what scored trials are expected to score.
    """
    judged = [t for t in trials if t.index in found.utilities and _may_be_best(t)]
    kept = not_known_to_break(judged, measures, found.estimates)
    return max(kept, key=lambda trial: found.utilities[trial.index].mean, default=None)


def best_unassessed(
    trials: Sequence[Trial], measures: Sequence[Measure], preferences: Sequence[Preference]
) -> Trial | None:
    """Return the best by scores; by preferences where trials without a score were judged."""
    judged = {index for one in preferences for index in (one.better, one.worse)}
    known = [trial for trial in trials if trial.index in judged and _may_be_best(trial)]
    if all(trial.scores for trial in known):
        return best(trials, measures, {})
    return most_preferred(not_known_to_break(known, measures, {}), preferences)


def most_preferred(trials: Sequence[Trial], preferences: Sequence[Preference]) -> Trial | None:
    """Return the trial that won the largest share of its comparisons, a tie being half a win."""
    share = shares_won(preferences)
    judged = [trial for trial in trials if trial.index in share and _may_be_best(trial)]
    return max(judged, key=lambda trial: share[trial.index], default=None)


def shares_won(preferences: Sequence[Preference]) -> dict[int, float]:
    """Return the share of its comparisons that each judged trial won, by index; 1/2 is even."""
    wins: dict[int, float] = {}
    count: dict[int, int] = {}
    for one in preferences:
        for index, won in ((one.better, 1.0), (one.worse, 0.0)):
            wins[index] = wins.get(index, 0.0) + (0.5 if one.tie else won)
            count[index] = count.get(index, 0) + 1
    # One comparison won says less than three: a win and a loss are added to all.
    return {index: (wins[index] + 1) / (count[index] + 2) for index in count}


def _may_be_best(trial: Trial) -> bool:
    """A trial may fail after somebody judged it."""
    return not trial.status.is_lost


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


def _dominates(one: Sequence[float], other: Sequence[float], exact_to: Sequence[float]) -> bool:
    """Tell whether one beats the other: worse in none and better in some, beyond the tolerance.

    Of three objectives or more, small losses must not add up to the gain: then three trials could
    each beat the next in a circle.
    """
    gains = [a - b for a, b in zip(one, other, strict=True)]
    better = any(gain > slack for gain, slack in zip(gains, exact_to, strict=True))
    worse = any(gain < -slack for gain, slack in zip(gains, exact_to, strict=True))
    total = math.fsum(gain / (slack or 1.0) for gain, slack in zip(gains, exact_to, strict=True))
    return better and not worse and total > 0
