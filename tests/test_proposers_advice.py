"""Advice on whether to go on."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.benchmark.several import several
from experiments.benchmark.synthetic import synthetic
from fabricbo.proposers import AxProposer, SobolProposer
from fabricbo.proposers.advice import (
    BOUNDED,
    FRONT,
    JUDGED,
    JUDGED_BOUNDED,
    SCORED,
    TOLERANCE,
    Doubt,
    calibrated,
    raw_logit,
)
from fabricbo.protocols import Assessor, History
from fabricbo.records import Action, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score
from fabricbo.space import ActionSpace, Range
from tests.test_proposers_measures import SPACE, empty, noisy, played


def history_of(trials: int, *, factor: float = 1.0, sign: int = 1) -> History:
    """Return a Sobol history of a problem of two scalars; scores are multiplied."""
    problem = synthetic("scalars-2", 1)
    direction = "maximize" if sign > 0 else "minimize"
    history = History(problem.space, problem.pool(0), (), direction, 1)  # type: ignore[arg-type]
    for index in range(trials):
        action = SobolProposer().propose(history).action
        values = tuple(sign * factor * v for v in problem.evaluate(action, index).values)
        trial = Trial(index, 1, action, "sobol", (1,), TrialStatus.DONE, Score(values))
        history = replace(history, trials=(*history.trials, trial))
    return history


def test_our_proposer_can_advise() -> None:
    assert isinstance(AxProposer(), Assessor)
    assert not isinstance(SobolProposer(), Assessor)


def test_no_advice_after_a_few_trials() -> None:
    assert AxProposer().assess(history_of(4)).advice is None
    assert AxProposer().assess(history_of(5)).advice is not None


@pytest.mark.parametrize("value", [0.0, 500.0])
def test_no_advice_where_all_score_the_same(value: float) -> None:
    """Nothing says how far apart scores may lie, so there is no unit for a gain."""
    history = history_of(8)
    alike = tuple(replace(trial, score=Score((value,) * 4)) for trial in history.trials)
    found = AxProposer().assess(replace(history, trials=alike))
    assert found.advice is None
    assert found.slices


def test_more_trials_make_surer_and_leave_less_to_gain() -> None:
    few, many = (AxProposer().assess(history_of(count)).advice for count in (6, 60))
    assert few is not None and many is not None
    assert 0 < few.probability < many.probability < 1
    assert many.expected_gain < few.expected_gain


@pytest.mark.parametrize("sign", [1, -1])
def test_advice_is_in_units_of_the_score_whatever_the_direction(sign: int) -> None:
    plain = AxProposer().assess(history_of(15)).advice
    scaled = AxProposer().assess(history_of(15, factor=100.0, sign=sign)).advice
    assert plain is not None and scaled is not None
    assert scaled.probability == pytest.approx(plain.probability, abs=0.02)
    assert scaled.tolerance == pytest.approx(100 * plain.tolerance, rel=0.01)
    assert scaled.expected_gain == pytest.approx(100 * plain.expected_gain, rel=0.05)


def test_tolerance_is_a_share_of_the_range_of_estimates() -> None:
    history = history_of(15)
    advice, estimates = AxProposer().assess(history).advice, AxProposer().assess(history).estimates
    means = [estimate.mean for (estimate,) in estimates.values()]
    assert advice is not None
    assert advice.tolerance == pytest.approx(TOLERANCE * (max(means) - min(means)))


def test_the_same_history_gives_the_same_advice_and_no_global_generator_moves() -> None:
    history = history_of(10)
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    assert AxProposer().assess(history).advice == AxProposer().assess(history).advice
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("doubt", [SCORED, BOUNDED, FRONT, JUDGED, JUDGED_BOUNDED])
def test_calibration_is_monotone_and_never_certain(doubt: Doubt) -> None:
    shares = [calibrated(raw, doubt) for raw in np.linspace(0, 1, 21)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
    assert raw_logit(calibrated(0.8, doubt), doubt) == pytest.approx(np.log(4))


def several_history(kind: str, trials: int) -> History:
    """Return a Sobol history of a problem of two scalars where two things are measured."""
    problem = several(f"{kind}-scalars-2", 1)
    history = History(problem.space, problem.pool(0), (), "maximize", 1, further=problem.further)
    history = replace(history, reference_point=problem.reference_point)
    for index in range(trials):
        action = SobolProposer().propose(history).action
        first, other = problem.evaluate(action, index)  # type: ignore[misc]
        trial = Trial(index, 1, action, "sobol", (1,), TrialStatus.DONE, first)
        history = replace(history, trials=(*history.trials, replace(trial, further=(other,))))
    return history


@pytest.mark.parametrize("kind", ["bounded", "front"])
def test_advice_beyond_one_objective_grows_surer_too(kind: str) -> None:
    assert AxProposer().assess(several_history(kind, 4)).advice is None
    few, many = (AxProposer().assess(several_history(kind, n)).advice for n in (6, 60))
    assert few is not None and many is not None
    assert 0 < few.probability < many.probability < 1
    assert 0 <= many.expected_gain < few.expected_gain
    assert (many.tolerance == TOLERANCE) == (kind == "front")


@pytest.mark.parametrize("kind", ["bounded", "front"])
def test_no_advice_while_no_trial_keeps_the_bounds(kind: str) -> None:
    history = several_history(kind, 12)
    never = (*history.further, Measure("more", at_least=10.0))
    trials = tuple(
        replace(trial, further=(*trial.further, Score((0.01 * i, 0.02 * i))))
        for i, trial in enumerate(history.trials)
    )
    found = AxProposer().assess(replace(history, trials=trials, further=never))
    assert found.advice is None
    assert found.slices


def test_what_breaks_a_bound_is_nothing_to_gain() -> None:
    """Scores rise with guidance, which was tried up to 5; a bound forbids more than that."""

    def scores(action: Action, index: int) -> list[Score]:
        guidance = action.params.guidance_scale
        return [noisy(guidance / 8, index, 0.001), noisy(guidance, index + 1000)]

    low = ActionSpace({**SPACE.domains, "guidance_scale": Range(1.0, 5.0)})
    tried = played(empty(space=low, further=(Measure("g"),)), scores, 12, SobolProposer())
    tried = replace(tried, space=SPACE, trials=tried.trials[1:])  # guidance of the first is 7.5
    gains = []
    for at_most in (5.0, 9.0):
        history = replace(tried, further=(Measure("g", at_most=at_most),))
        advice = AxProposer().assess(history).advice
        assert advice is not None
        gains.append(advice.expected_gain)
    assert gains[0] < 0.8 * gains[1]


def judged_history(trials: int) -> History:
    """Return trials of which each was compared with the one before, by their true values."""
    problem, history = synthetic("scalars-2", 1), history_of(trials)
    assert problem.value is not None
    values = [problem.value(trial.action) for trial in history.trials]
    drawn = tuple(
        replace(trial, score=None, status=TrialStatus.AWAITING_RATING, images=("a",))
        for trial in history.trials
    )
    said = tuple(
        Preference(one, other) if values[one] > values[other] else Preference(other, one)
        for one, other in zip(range(1, trials), range(trials), strict=False)
    )
    return replace(history, trials=drawn, preferences=said)


def test_people_get_advice_after_some_judgements_in_shares_of_what_lies_between() -> None:
    assert AxProposer().assess(judged_history(8)).advice is None  # seven comparisons
    few, many = (AxProposer().assess(judged_history(count)).advice for count in (9, 40))
    assert few is not None and many is not None
    assert few.tolerance == many.tolerance == TOLERANCE
    assert 0 < few.probability < many.probability < 1
    assert 0 <= many.expected_gain < few.expected_gain
