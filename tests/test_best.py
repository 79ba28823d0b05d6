"""Which trials are best: bounds, Pareto fronts, preferences."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.assessment import Assessment, Estimate
from fabricbo.best import (
    best,
    best_judged,
    best_unassessed,
    broken_bounds,
    feasible,
    most_preferred,
    pareto,
)
from fabricbo.records import Action, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score

LIKE = Measure("like")
COLOUR = Measure("colour")
NSFW = Measure("nsfw", "minimize", at_most=0.1)


def trial(index: int, *values: float) -> Trial:
    scores = [Score((value,)) for value in values]
    status = TrialStatus.DONE if scores else TrialStatus.AWAITING_RATING
    first, further = (scores[0], tuple(scores[1:])) if scores else (None, ())
    return Trial(index, 1, Action(), "test", (1,), status, first, further=further)


def test_the_best_keeps_the_bounds() -> None:
    trials = [trial(0, 1.0, 0.05), trial(1, 9.0, 0.2), trial(2, 2.0, 0.1), trial(3)]
    assert best(trials, (LIKE, NSFW), {}) == trials[2]
    assert broken_bounds(trials[1], (LIKE, NSFW), {}) == ["nsfw <= 0.1"]
    assert broken_bounds(trials[2], (LIKE, NSFW), {}) == []


def test_where_no_trial_keeps_the_bounds_those_count_that_miss_them_least() -> None:
    trials = [trial(0, 9.0, 0.9), trial(1, 1.0, 0.2), trial(2, 2.0, 0.2)]
    assert feasible(trials, (LIKE, NSFW), {}) == trials[1:]
    assert best(trials, (LIKE, NSFW), {}) == trials[2]


def test_bounds_on_both_sides() -> None:
    middle = Measure("x", at_least=1.0, at_most=2.0)
    trials = [trial(0, 5.0, 0.5), trial(1, 1.0, 1.5), trial(2, 9.0, 2.5)]
    assert best(trials, (LIKE, middle), {}) == trials[1]
    assert broken_bounds(trials[0], (LIKE, middle), {}) == ["x >= 1 and x <= 2"]


def test_estimates_decide_not_the_luckiest_mean() -> None:
    trials = [trial(0, 1.0), trial(1, 9.0)]
    estimates = {0: (Estimate(3.0, 0.1),), 1: (Estimate(2.0, 0.1),)}
    assert best(trials, (LIKE,), estimates) == trials[0]
    assert best(trials, (Measure("like", "minimize"),), estimates) == trials[1]


FACES = Measure("faces", at_least=1.0)


def expected(*means: float, error: float = 0.01) -> tuple[Estimate, ...]:
    return tuple(Estimate(mean, error) for mean in means)


def test_a_bound_at_a_value_that_trials_attain_is_kept() -> None:
    """Estimates of one value differ by what the surrogate is exact to."""
    trials = [trial(0, 1.0, 1.0), trial(1, 3.0, 1.0), trial(2, 9.0, 0.0), trial(3, 2.0, 1.0)]
    pairs = ((1.0, 1.0001), (3.0, 0.9998), (9.0, 0.0002), (2.0, 1.0))
    estimates = {i: expected(*pair) for i, pair in enumerate(pairs)}
    assert best(trials, (LIKE, FACES), estimates) == trials[1]
    assert broken_bounds(trials[1], (LIKE, FACES), estimates) == []
    assert broken_bounds(trials[2], (LIKE, FACES), estimates) == ["faces >= 1"]


def test_images_that_keep_a_bound_have_the_benefit_of_the_doubt() -> None:
    trials = [trial(0, 1.0, 0.0), trial(1, 1.0, 0.08), trial(2, 1.0, 0.2)]
    noisy = {i: expected(1.0, mean, error=0.05) for i, mean in enumerate((0.5, 0.12, 0.12))}
    measures = (LIKE, NSFW)
    assert broken_bounds(trials[0], measures, noisy) == ["nsfw <= 0.1"]  # far beyond its error
    assert broken_bounds(trials[1], measures, noisy) == []
    assert broken_bounds(trials[2], measures, noisy) == ["nsfw <= 0.1"]


def test_of_those_that_miss_about_the_same_the_best_is_chosen() -> None:
    trials = [trial(0, 9.0, 0.9), trial(1, 1.0, 0.2), trial(2, 2.0, 0.2)]
    estimates = {0: expected(9.0, 0.9), 1: expected(1.0, 0.2), 2: expected(2.0, 0.2001)}
    assert best(trials, (LIKE, NSFW), estimates) == trials[2]


def test_misses_of_different_bounds_are_weighed_by_their_spread() -> None:
    """Bytes are large numbers: missing their bound by a little is not missing it by much."""
    measures = (LIKE, NSFW, Measure("bytes", at_most=100_000.0))
    trials = [trial(0, 1.0, 0.9, 99_000.0), trial(1, 1.0, 0.0, 100_100.0), trial(2, 1.0, 0.8, 5e5)]
    assert feasible(trials, measures, {}) == [trials[1]]


def test_a_trial_is_beaten_also_where_estimates_are_not_exact() -> None:
    trials = [trial(0, 1.0, 2.0), trial(1, 5.0, 2.0), trial(2, 0.0, 3.0), trial(3, 5.0, 2.0)]
    pairs = ((1.0, 2.0002), (5.0, 2.0), (0.0, 3.0), (5.0001, 2.0001))
    estimates = {i: expected(*pair) for i, pair in enumerate(pairs)}
    assert pareto(trials, (LIKE, COLOUR), estimates) == [trials[1], trials[2], trials[3]]


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 3), min_size=1, max_size=8))
def test_beating_within_a_tolerance_leaves_a_front(points) -> None:
    measures = (LIKE, COLOUR, Measure("third"))
    estimates = {i: expected(*(p / 1000 for p in point)) for i, point in enumerate(points)}
    # Far from the others, so that their differences are about what estimates are exact to.
    estimates[len(points)] = expected(-1.0, -1.0, -1.0)
    trials = [trial(i, *(e.mean for e in of_one)) for i, of_one in estimates.items()]
    assert pareto(trials, measures, estimates)


def test_where_people_judge_their_best_keeps_the_bounds() -> None:
    trials = [trial(0, 1.0, 0.05), trial(1, 1.0, 0.2), trial(2)]
    utilities = {i: Estimate(mean, 0.1) for i, mean in enumerate((-1.0, 2.0, 1.0))}
    estimates = {0: expected(1.0, 0.05), 1: expected(1.0, 0.2)}
    found = Assessment(estimates, utilities=utilities)
    measures = (LIKE, NSFW)
    assert best_judged(trials, measures, found) == trials[2]
    assert best_judged(trials[:2], measures, found) == trials[0]
    assert best_judged(trials[1:2], measures, found) == trials[1]
    failed = replace(trials[2], status=TrialStatus.FAILED)
    assert best_judged([*trials[:2], failed], measures, found) == trials[0]


def test_before_an_assessment_bounds_count_too() -> None:
    measures = (LIKE, NSFW)
    trials = [trial(0, 1.0, 0.05), trial(1, 2.0, 0.01), trial(2, 9.0, 0.5), trial(3), trial(4)]
    said = [Preference(2, 0), Preference(0, 1)]
    assert best_unassessed(trials, measures, said) == trials[1]
    said += [Preference(2, 3), Preference(3, 4)]
    assert best_unassessed(trials, measures, said) == trials[0]


def test_bounds_of_a_trial_without_scores_are_not_known_to_be_broken() -> None:
    assert broken_bounds(trial(0), (LIKE, NSFW), {}) == []


def test_the_front_and_its_most_balanced_trial() -> None:
    trials = [trial(0, 0, 0), trial(1, 10, 1), trial(2, 6, 6), trial(3, 1, 10), trial(4, 5, 5)]
    assert pareto(trials, (LIKE, COLOUR), {}) == trials[1:4]
    assert best(trials, (LIKE, COLOUR), {}) == trials[2]


def test_minimized_objectives_have_their_front_below() -> None:
    trials = [trial(0, 1, 9), trial(1, 2, 1), trial(2, 0, 10)]
    measures = (LIKE, Measure("noise", "minimize"))
    assert pareto(trials, measures, {}) == trials[:2][1:]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_every_trial_is_on_the_front_or_beaten_by_one_that_is(points) -> None:
    trials = [trial(i, float(a), float(b)) for i, (a, b) in enumerate(points)]
    front = pareto(trials, (LIKE, COLOUR), {})
    assert best(trials, (LIKE, COLOUR), {}) in front
    for one in trials:
        a, b = points[one.index]
        beaten = any(
            points[f.index][0] >= a and points[f.index][1] >= b and points[f.index] != (a, b)
            for f in front
        )
        assert beaten != (one in front)


def test_nothing_to_choose_from() -> None:
    assert best([trial(0)], (LIKE,), {}) is None
    assert pareto([], (LIKE, COLOUR), {}) == []
    assert most_preferred([trial(0)], []) is None


def test_most_preferred_by_share_of_comparisons() -> None:
    trials = [trial(i) for i in range(4)]
    said = [Preference(1, 0), Preference(1, 2), Preference(2, 0), Preference(2, 3, tie=True)]
    assert most_preferred(trials, said) == trials[1]
    failed = replace(trials[1], status=TrialStatus.FAILED)
    assert most_preferred([trials[0], failed, *trials[2:]], said) == trials[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_least": 2.0, "at_most": 1.0}, "at least 2 and at most 1"),
        ({"at_most": float("nan")}, "finite"),
        ({"at_most": 1.0, "reference_point": 0.0}, "no reference point"),
    ],
    ids=["reversed", "nan", "reference point"],
)
def test_a_measure_that_makes_no_sense_is_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Measure("x", **options)


def test_a_trial_is_not_compared_with_itself() -> None:
    with pytest.raises(ValueError, match="itself"):
        Preference(3, 3)


def test_scores_over_prompts() -> None:
    values = (1.0, 3.0, 5.0, 5.0)  # two prompts, two seeds
    mean = Score(values, 2)
    assert (mean.by_seed, mean.mean) == ((3.0, 4.0), 3.5)
    assert mean.standard_error == pytest.approx(0.5)
    worst = Score(values, 2, "min")
    assert (worst.by_seed, worst.mean, worst.standard_error) == ((1.0, 3.0), 2.0, 1.0)
    assert Score(values, 2, "max").by_seed == (5.0, 5.0)
    assert Score((1.0, 2.0), 2).standard_error is None
    with pytest.raises(ValueError, match="3 for 2 prompts"):
        Score((1.0, 2.0, 3.0), 2)
