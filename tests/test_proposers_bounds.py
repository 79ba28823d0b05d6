"""The search where something has bounds to keep that the trials break, or mostly break."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fabricbo.proposers import acquisition
from fabricbo.proposers.bayes import SurrogateProposer
from fabricbo.proposers.comparison import Choice, next_pairs
from fabricbo.proposers.goal import none_keeps_all_bounds, reference_point
from fabricbo.proposers.kernel import ActionKernel
from fabricbo.proposers.surrogate import fit_surrogate
from fabricbo.protocols import History
from fabricbo.records import Action, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score
from tests.test_proposers_measures import SPACE, empty, noisy


def place(action: Action) -> tuple[float, float]:
    """Return an action's two numbers, in [0, 1]."""
    return (action.params.guidance_scale - 1) / 8, action.params.prompt_dropout / 0.8


def told(history: History, points, scores) -> History:
    """Have trials at points of the unit square; `scores` turns the two numbers into scores."""
    for point in points:
        action, index = SPACE.from_unit([float(x) for x in point], ()), len(history.trials)
        values = scores(*place(action))
        first, *further = (noisy(v, 10 * index + i) for i, v in enumerate(values))
        done = Trial(index, 1, action, "sobol", (), TrialStatus.DONE, first, further=tuple(further))
        history = replace(history, trials=(*history.trials, done))
    return history


def proposed(history: History, scores, count: int) -> list[tuple[float, float]]:
    """Return where so many proposals lie, one told after the other."""
    found = []
    for _ in range(count):
        proposal = SurrogateProposer().propose(history)
        assert proposal.source == "bo"
        found.append(place(proposal.action))
        history = told(history, [found[-1]], scores)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("objectives", [1, 2])
def test_while_nothing_keeps_the_bound_what_does_is_sought(seed: int, objectives: int) -> None:
    """What is good lies the other way."""
    bound = Measure("cost", "minimize", at_most=0.15)
    further = (Measure("other"), bound)[2 - objectives :]
    start = empty(seed=seed, further=further)
    points = np.random.default_rng(seed).random((6, 2)) * (0.65, 1) + (0.35, 0)

    def scores(x: float, y: float) -> tuple[float, ...]:
        return (x + 0.1 * y, *(x - 0.1 * y for _ in range(objectives - 1)), x)

    history = told(start, points, scores)
    assert none_keeps_all_bounds(fit_surrogate(history), history)
    firsts = [x for x, _ in proposed(history, scores, 3)]
    assert firsts[0] < min(x for x, _ in map(place, (t.action for t in history.trials)))
    assert min(firsts) <= 0.15


def test_a_bound_at_its_edge_is_kept() -> None:
    history = empty(further=(Measure("faults", "minimize", at_most=0.0),))
    history = told(history, np.random.default_rng(0).random((6, 2)), lambda x, y: (x, y))
    exact = [replace(t, further=(Score((float(t.index > 3),) * 4),)) for t in history.trials]
    history = replace(history, trials=tuple(exact))
    assert not none_keeps_all_bounds(fit_surrogate(history), history)


def test_the_reference_point_lies_below_what_keeps_the_bounds() -> None:
    """Else the volume of the front is 0, and nothing can be gained where bounds are kept."""
    further = (Measure("two"), Measure("nsfw", "minimize", at_most=0.5))
    points = np.random.default_rng(1).random((12, 2))

    def scores(x: float, y: float) -> tuple[float, ...]:
        return 2 * x + 0.3 * y, 2 * x - 0.3 * y + 0.3, x

    history = told(empty(further=further), points, scores)
    surrogate = fit_surrogate(history)
    below = reference_point(surrogate, history)
    means = surrogate.means(surrogate.observed)
    kept = torch.tensor([trial.further[1].mean <= 0.5 for trial in history.trials])
    assert ((means[kept][:, :2] > below).all(-1)).any()
    assert [x for x, _ in proposed(history, scores, 1) if x <= 0.55]
    advice = SurrogateProposer().assess(history).advice
    assert advice is not None and advice.probability < 0.9


def test_no_advice_where_nothing_gets_beyond_the_reference_point() -> None:
    further = (Measure("two", reference_point=9.0),)
    history = replace(empty(further=further), reference_point=9.0)
    history = told(history, np.random.default_rng(1).random((8, 2)), lambda x, y: (x, y))
    assert SurrogateProposer().assess(history).advice is None


def test_four_objectives_are_searched_and_get_no_advice() -> None:
    further = tuple(Measure(name) for name in "bcd")
    history = told(
        empty(further=further),
        np.random.default_rng(1).random((8, 2)),
        lambda x, y: (x, y, 1 - x, 1 - abs(x - y)),
    )
    assert len(set(proposed(history, lambda x, y: (x, y, 1 - x, 0), 2))) == 2
    found = SurrogateProposer().assess(history)
    assert found.advice is None and found.estimates


def test_rows_beyond_those_of_actions_have_covariances() -> None:
    """BoTorch asks about points in a box around what was seen, and a little beyond it."""
    rows = torch.tensor([[0.5, -0.01, -0.02, 0.3, 0.0], [0.5, 0.0, 0.0, 0.3, 0.0]]).double()
    covariance = ActionKernel(1, 2).forward(rows, rows)
    assert covariance.isfinite().all()
    assert torch.equal(covariance[0], covariance[1])


def test_an_acquisition_that_knows_no_number_is_no_lack_of_new_actions(monkeypatch) -> None:
    history = told(empty(), np.random.default_rng(1).random((6, 2)), lambda x, y: (x + y,))

    def nothing(*_: object):
        return lambda rows: torch.full((len(rows),), torch.nan, dtype=torch.float64)

    monkeypatch.setattr(acquisition, "acquisition_function", nothing)
    assert SurrogateProposer().propose(history).source == "sobol-fallback"


def test_several_raters_who_answer_one_question_saw_one_image_of_a_pair() -> None:
    history = told(empty(), [(0.2, 0.2), (0.5, 0.5), (0.8, 0.8)], lambda x, _: (x,))
    trials = tuple(
        replace(trial, images=tuple(f"{trial.index} {k}" for k in range(4)))
        for trial in history.trials
    )
    history = replace(
        history, trials=trials, preferences=tuple(Preference(1, 0, rater=r) for r in range(4))
    )
    found = next_pairs(fit_surrogate(history), history, Choice(trials, 9))
    assert {frozenset(pair) for pair in found} == {
        frozenset((0, 1)),
        frozenset((0, 2)),
        frozenset((1, 2)),
    }
