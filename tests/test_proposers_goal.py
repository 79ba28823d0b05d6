"""What outcomes come to, and whether drawing a trial again brings more than a new one."""

from dataclasses import replace

import pytest
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume

from fabricbo.proposers import SobolProposer
from fabricbo.proposers.bayes import SurrogateProposer
from fabricbo.proposers.goal import Goal, constraints, hypervolume
from fabricbo.proposers.replication import Belief, knowledge_gradients
from fabricbo.proposers.surrogate import Unit
from fabricbo.records import Action
from fabricbo.scores import Measure
from tests.test_proposers_measures import empty, near, noisy, played

ONE = Goal((0,), (), torch.zeros(1, dtype=torch.float64))


def bounded(at_most: float) -> Goal:
    """Return the goal of one objective with a bound on a second measure."""
    bounds = constraints([(Measure("a"), Unit()), (Measure("b", at_most=at_most), Unit())])
    return Goal((0,), tuple(bounds), torch.full((1,), -1.0, dtype=torch.float64))


def front() -> Goal:
    return Goal((0, 1), (), torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_hypervolume_is_that_of_botorch(objectives: int) -> None:
    torch.manual_seed(objectives)
    points = torch.randn(2, 3, 9, objectives, dtype=torch.float64)
    found = hypervolume(points)
    known = Hypervolume(torch.zeros(objectives, dtype=torch.float64))
    for i in range(2):
        for j in range(3):
            above = points[i, j][(points[i, j] > 0).all(-1)]
            expected = known.compute(above) if len(above) else 0.0
            assert float(found[i, j]) == pytest.approx(expected)


def test_no_more_than_one_of_equals_counts_for_a_volume() -> None:
    points = torch.tensor([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [0.5, 2.0]])
    assert float(hypervolume(points)) == 3.0


def test_what_breaks_a_bound_counts_as_nothing() -> None:
    outcomes = torch.tensor([[3.0, 0.6], [2.0, 0.4], [1.0, 0.0]], dtype=torch.float64)
    assert float(bounded(0.5)(outcomes)) == 2.0
    assert float(bounded(0.7)(outcomes)) == 3.0
    assert float(bounded(-0.1)(outcomes)) == -1.0
    both = constraints([(Measure("a"), Unit()), (Measure("b", at_least=0.3, at_most=0.5), Unit())])
    assert float(replace(bounded(0), bounds=tuple(both))(outcomes)) == 2.0
    kept_front = Goal((0, 1), tuple(both), torch.zeros(2, dtype=torch.float64))
    assert float(kept_front(outcomes)) == pytest.approx(0.8)


def beliefs(measures: int, actions: int = 5, noise: float = 0.04) -> list[Belief]:
    generator = torch.Generator().manual_seed(measures)
    found = []
    for _ in range(measures):
        root = 0.4 * torch.randn(actions, actions, generator=generator, dtype=torch.float64)
        means = 0.5 + 0.4 * torch.randn(actions, generator=generator, dtype=torch.float64)
        found.append(Belief(means, root @ root.T, noise))
    return found


@pytest.mark.parametrize(
    ("measures", "goal"), [(1, ONE), (2, bounded(0.6)), (2, front())], ids=["one", "bound", "front"]
)
def test_knowledge_gradients_are_those_of_brute_force(measures: int, goal: Goal) -> None:
    known = beliefs(measures)
    gains = knowledge_gradients(known, goal)
    torch.manual_seed(0)
    surprise = torch.randn(50_000, measures, dtype=torch.float64)
    means = torch.stack([one.means for one in known], -1)
    for i in range(5):
        steps = torch.stack(
            [one.covariance[:, i] / (one.covariance[i, i] + one.noise).sqrt() for one in known], -1
        )
        after = means + surprise.unsqueeze(1) * steps
        chosen = after if i == 4 else after[:, :4]
        expected = goal(chosen).mean() - goal(means[:4])
        # Of several measures 64 quasi-random surprises are drawn.
        near_to = 0.003 if measures == 1 else 0.03
        assert float(gains[i]) == pytest.approx(float(expected), abs=near_to)


def history(noise: float, kind: str):
    """Return drawn trials of a study with a bound or with two objectives."""
    other = Measure("other", at_least=0.5) if kind == "bounded" else Measure("other")

    def scores(action: Action, index: int):
        return [
            noisy(near(action, 4, 0.4), index, noise),
            noisy(near(action, 6, 0.4), index + 1000, noise),
        ]

    return played(empty(seeds=(7,), further=(other,)), scores, 12, SobolProposer())


@pytest.mark.parametrize("kind", ["bounded", "front"])
def test_noise_makes_trials_worth_drawing_again_with_several_measures(kind: str) -> None:
    drawn = history(1.0, kind)
    again = SurrogateProposer().propose(drawn)
    assert again.source == "bo-again"
    assert again.action in {trial.action for trial in drawn.trials}
    assert SurrogateProposer().propose(history(0.001, kind)).source == "bo"
    assert SurrogateProposer().propose(replace(drawn, seeds=())).source == "bo"
