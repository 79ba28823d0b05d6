"""What the surrogate says of trials that it does not know, and of the space as a whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.proposer_problem import pool_of
from fabricbo.proposers import SobolProposer
from fabricbo.proposers.landscape import contours, sensitivities
from fabricbo.proposers.leaving_out import FEWEST, left_out
from fabricbo.proposers.surrogate import Surrogate, fit_surrogate
from fabricbo.protocols import History
from fabricbo.records import Action, Trial, TrialStatus
from fabricbo.scores import Direction, Measure, Score
from fabricbo.space import ActionSpace, Choice, Range

SPACE = ActionSpace({"guidance_scale": Range(1, 9), "denoising_steps": Choice((10, 20, 30))})


def by_guidance(action: Action) -> float:
    """Only guidance matters."""
    return 10 - (action.params.guidance_scale - 4) ** 2


def history_of(count: int, direction: Direction = "maximize") -> History:
    sign = 1 if direction == "maximize" else -1
    history = History(SPACE, (), (), direction, 1, further=(Measure("steps"),))
    for index in range(count):
        action = SobolProposer().propose(history).action
        noise = np.random.default_rng(index).normal(0, 0.2, 4)
        values = tuple(float(sign * by_guidance(action) + one) for one in noise)
        steps = tuple(float(action.params.denoising_steps + one) for one in noise)
        trial = Trial(index, 1, action, "sobol", (1,), TrialStatus.DONE, Score(values))
        trial = replace(trial, further=(Score(steps),))
        history = replace(history, trials=(*history.trials, trial))
    return history


@pytest.fixture(scope="module")
def fitted() -> tuple[History, Surrogate]:
    history = history_of(12)
    return history, fit_surrogate(history)


def test_left_out_is_what_the_other_trials_say(fitted) -> None:
    """The same as taking the trial out of the data, hyperparameters kept."""
    history, surrogate = fitted
    found = left_out(surrogate, history.trials)
    assert found.keys() == set(range(12))
    for number, (model, unit) in enumerate(zip(surrogate.models, surrogate.units, strict=True)):
        (rows,), outcomes, noise = model.train_inputs, model.train_targets, model.likelihood.noise
        for index in (0, 5, 11):
            others = [i for i in range(12) if i != index]
            with torch.no_grad():
                covariance = model.covar_module(rows).to_dense()
                known = covariance[others][:, others] + torch.diag(noise[others])
                centre = model.mean_module(rows)
                weights = torch.linalg.solve(known, covariance[others, index])
                mean = centre[index] + weights @ (outcomes - centre)[others]
                variance = covariance[index, index] - weights @ covariance[others, index]
            expected = unit.sign * float(mean) * unit.scale + unit.centre
            error = float((variance + noise[index]).sqrt()) * unit.scale
            assert found[index][number].mean == pytest.approx(expected, rel=1e-4, abs=1e-5)
            assert found[index][number].standard_error == pytest.approx(error, rel=1e-3)


def test_nothing_is_left_out_of_a_few_trials(fitted) -> None:
    history, surrogate = fitted
    assert left_out(surrogate, history.trials[: FEWEST - 1]) == {}


def test_left_out_is_in_units_of_the_score_whatever_the_direction() -> None:
    history = history_of(12, "minimize")
    found = left_out(fit_surrogate(history), history.trials)
    seen = [trial.scores[0].mean for trial in history.trials]
    predicted = [found[trial.index][0].mean for trial in history.trials]
    assert np.corrcoef(seen, predicted)[0, 1] > 0.8


def test_what_matters_is_found_for_each_measure(fitted) -> None:
    history, surrogate = fitted
    found = sensitivities(surrogate, history, np.random.default_rng(0))
    first = [one for one in found if one.measure == 0]
    other = [one for one in found if one.measure == 1]
    assert [one.name for one in first] == ["guidance_scale", "denoising_steps"]
    assert [one.name for one in other] == ["denoising_steps", "guidance_scale"]
    for most, least in (first, other):
        assert most.low > 0.7
        assert least.high < 0.3
        assert all(0 <= one.low <= one.share <= one.high <= 1 for one in (most, least))
    again = sensitivities(surrogate, history, np.random.default_rng(0))
    assert again == found


def test_references_are_one_input_and_one_input_alone_is_not_ranked(fitted) -> None:
    pool = pool_of(3)
    history = History(ActionSpace({"max_weight": Range(0, 1)}), pool, (), "maximize", 1)
    for index in range(6):
        action = SobolProposer().propose(history).action
        score = Score((float(len(action.liked)), float(len(action.liked)) + 0.1))
        trial = Trial(index, 1, action, "sobol", (1,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))
    rng = np.random.default_rng(0)
    names = {one.name for one in sensitivities(fit_surrogate(history), history, rng)}
    assert names == {"max_weight", "references"}
    alone = replace(fitted[0], space=ActionSpace({"guidance_scale": Range(1, 9)}))
    assert sensitivities(fit_surrogate(alone), alone, rng) == ()


def test_contours_are_of_pairs_and_leave_out_what_is_no_window() -> None:
    space = ActionSpace({"feedback_start": Range(0, 1), "feedback_end": Range(0, 1)})
    history = History(space, pool_of(1), (), "maximize", 1)
    for index in range(6):
        action = SobolProposer().propose(history).action
        score = Score((action.params.feedback_start, action.params.feedback_start + 0.1))
        trial = Trial(index, 1, action, "sobol", (1,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))
    surrogate = fit_surrogate(history)
    found = sensitivities(surrogate, history, np.random.default_rng(0))
    (contour,) = contours(surrogate, history, history.trials[0], found)
    assert {contour.across, contour.up} == {"feedback_start", "feedback_end"}
    for y, row in zip(contour.up_values, contour.estimates, strict=True):
        for x, estimate in zip(contour.across_values, row, strict=True):
            at = {contour.across: x, contour.up: y}
            assert (estimate is None) == (at["feedback_start"] > at["feedback_end"])
