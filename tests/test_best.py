"""Which trials are best: bounds, Pareto fronts, preferences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.assessment import Estimate
from fabricbo.best import best, broken_bounds, feasible, most_preferred, pareto
from fabricbo.records import Action, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score

LIKE = Measure("like")
COLOUR = Measure("colour")
NSFW = Measure("nsfw", "minimize", at_most=0.1)


def trial(index: int, *values: float) -> Trial:
    scores = [Score((value,)) for value in values]
    status = TrialStatus.DONE if scores else TrialStatus.FAILED
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
