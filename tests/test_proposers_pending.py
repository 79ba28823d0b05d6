"""Many pending trials: the quick way is the same as BoTorch's, and a fit is made once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement

from fabricbo.proposers import SobolProposer, improvement, last_fit
from fabricbo.proposers.bayes import SurrogateProposer, own_randomness
from fabricbo.proposers.goal import Goal
from fabricbo.proposers.improvement import acquisition_function
from fabricbo.proposers.last_fit import LastFit
from fabricbo.proposers.pending import ImprovementAmongPending
from fabricbo.proposers.replication import Belief, knowledge_gradients
from fabricbo.proposers.surrogate import fit_surrogate
from fabricbo.protocols import History
from fabricbo.records import Trial, TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.space import ActionSpace
from tests.fakes import POOL

BOUND = Measure("order", "maximize", at_least=0.3)


def history_of(scored: int, pending: int, further: tuple[Measure, ...] = ()) -> History:
    history = History(ActionSpace(), POOL, (), "maximize", 0, further=further, seeds=(1,))
    rng = np.random.default_rng(0)
    for index in range(scored + pending):
        action = SobolProposer().propose(history).action
        values = len(action.liked) * action.params.max_weight + 0.1 * rng.standard_normal(4)
        more = [Score(tuple(action.params.feedback_end + rng.random(4))) for _ in further]
        trial = Trial(index, 1, action, "sobol", (1,), TrialStatus.RUNNING)
        if index < scored:
            trial = scored_trial(trial, values, *more)
        history = replace(history, trials=(*history.trials, trial))
    return history


def scored_trial(trial: Trial, values, *more: Score) -> Trial:
    score = Score(tuple(float(value) for value in values))
    return replace(trial, status=TrialStatus.DONE, score=score, further=more)


@pytest.mark.parametrize("further", [(), (BOUND,)], ids=["one objective", "with a bound"])
@pytest.mark.parametrize("pending", [1, 40])
def test_candidates_are_worth_what_botorch_says(monkeypatch, pending, further) -> None:
    history = history_of(20, pending, further)
    with own_randomness(0):  # of a fit that begins again
        surrogate = fit_surrogate(history)
    points = np.random.default_rng(1).random((50, history.space.dimensions(POOL)))
    actions = [history.space.from_unit(point.tolist(), POOL) for point in points]
    rows = surrogate.rows(actions).unsqueeze(-2)
    ours = acquisition_function(surrogate, history, 3)
    monkeypatch.setattr(improvement, "ImprovementAmongPending", qLogNoisyExpectedImprovement)
    theirs = acquisition_function(surrogate, history, 3)
    assert isinstance(ours, ImprovementAmongPending)
    assert not isinstance(theirs, ImprovementAmongPending)
    with torch.no_grad():
        torch.testing.assert_close(ours(rows), theirs(rows), atol=1e-6, rtol=1e-6)
        # One after the other as well as all at once.
        torch.testing.assert_close(ours(rows[:1]), ours(rows)[:1], atol=1e-6, rtol=1e-6)


def test_without_pending_trials_it_is_botorch_itself() -> None:
    history = history_of(10, 0)
    found = acquisition_function(fit_surrogate(history), history, 3)
    assert type(found) is qLogNoisyExpectedImprovement


def fits(monkeypatch) -> list[int]:
    """Count the fits from now on: one entry each, how many trials had a score."""
    counted: list[int] = []

    def counting(history, *more):
        counted.append(sum(trial.score is not None for trial in history.trials))
        return fit_surrogate(history, *more)

    monkeypatch.setattr(last_fit, "fit_surrogate", counting)
    return counted


def test_several_suggestions_in_a_row_are_the_same_from_one_fit(monkeypatch) -> None:
    counted = fits(monkeypatch)
    keeping, history, sources = SurrogateProposer(), history_of(12, 2), []
    for number in range(6):
        if number == 3:  # then a score comes in, which counts
            first = history.trials[12]
            told = scored_trial(first, (0.5, 0.7, 0.6, 0.4))
            trials = (*history.trials[:12], told, *history.trials[13:])
            history = replace(history, trials=trials)
        proposal = keeping.propose(history)
        kept_fits = len(counted)
        assert proposal == SurrogateProposer().propose(history)
        del counted[kept_fits:]
        sources.append(proposal.source)
        trial = Trial(len(history.trials), 1, proposal.action, "bo", (1,))
        history = replace(history, trials=(*history.trials, trial))
    assert counted == [12, 13]
    assert set(sources) == {"bo"}


def test_a_fit_that_drew_random_numbers_is_not_kept(monkeypatch) -> None:
    def lucky(history, embeddings):
        torch.rand(1)
        return fit_surrogate(history, embeddings)

    monkeypatch.setattr(last_fit, "fit_surrogate", lucky)
    fit, history = LastFit(None), history_of(8, 1)
    assert fit(history) is not fit(history)


def test_a_fit_is_kept_for_as_long_as_nothing_it_depends_on_changes() -> None:
    fit, history = LastFit(None), history_of(12, 2)
    found = fit(history)
    assert fit(replace(history, trials=history.trials[:13], seeds=(2,))) is found
    assert fit(history) is found
    turned = replace(history, pool=POOL[::-1])
    assert fit(turned) is not found
    assert fit(replace(history, direction="minimize")) is not fit(history)


@pytest.mark.parametrize("actions", [2, 64, 65, 150])
def test_gains_of_many_actions_are_those_of_each(actions: int) -> None:
    torch.manual_seed(0)
    root = torch.randn(actions, actions, dtype=torch.float64)
    means = torch.randn(actions, dtype=torch.float64)
    covariance = root @ root.T
    goal = Goal((0,), (), torch.zeros(1, dtype=torch.float64))
    gains = knowledge_gradients([Belief(means, covariance, 0.3)], goal)
    points, weights = np.polynomial.hermite_e.hermegauss(48)
    for seen in {0, actions // 2, actions - 1}:
        move = covariance[:, seen] / (covariance[seen, seen] + 0.3).sqrt()
        after = means[:, None] + move[:, None] * torch.from_numpy(points)
        best = (after if seen == actions - 1 else after[:-1]).amax(0).numpy()
        expected = best @ weights / weights.sum() - float(means[:-1].max())
        assert float(gains[seen]) == pytest.approx(expected)
