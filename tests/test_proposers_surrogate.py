"""Features, kernel and noise of the surrogate, and the proposers that learn nothing."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from botorch.exceptions import ModelFittingError
from hypothesis import given
from hypothesis import strategies as st

from experiments.proposer_problem import Problem, pool_of
from fabricbo.proposers import HandProposer, RandomProposer, SobolProposer
from fabricbo.proposers import surrogate as surrogate_module
from fabricbo.proposers.bayes import SurrogateProposer
from fabricbo.proposers.features import _ACTS, FeatureMap
from fabricbo.proposers.kernel import ActionKernel
from fabricbo.proposers.surrogate import fit_surrogate, known_references, standardised
from fabricbo.protocols import History, Proposer
from fabricbo.records import OPTIONAL, Action, FabricParams, Trial, TrialStatus
from fabricbo.sampler.schedule import feedback_weight
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range

POOL = pool_of(4)
SPACE = ActionSpace(
    {
        **ActionSpace().domains,
        "guidance_scale": Range(0.5, 10.0),
        "denoising_steps": Range(10, 30),
        "pos_bottleneck_scale": Range(0.0, 2.0),
        "ramp": Range(0.0, 1.0),
        "rescale": Range(0.0, 1.0),
        "middle_scale": Range(0.0, 2.0),
    }
)


def row(liked: int, disliked: int, **params: float) -> dict[str, float]:
    """Return the features of an action by name; role columns by their number."""
    action = Action(
        FabricParams(**params),  # type: ignore[arg-type]
        POOL[:liked],
        POOL[liked : liked + disliked],
    )
    features = FeatureMap(SPACE, POOL)
    values = features([action])[0]
    return dict(zip([*features.scalar_names, *map(str, range(8))], values, strict=True))


def test_mass_is_the_share_of_the_attention() -> None:
    """Averaged over the denoising steps: 17 of 20 lie in the classic window."""
    features = row(3, 1, max_weight=0.5, neg_scale=0.4)
    assert features["liked_mean_mass"] == pytest.approx(17 / 20 * 1.5 / 2.5)
    assert features["disliked_mean_mass"] == pytest.approx(17 / 20 * 0.2 / 1.2)


def test_a_short_strong_window_pulls_as_far_as_a_long_weak_one() -> None:
    short = row(1, 0, max_weight=1.0, feedback_start=0.0, feedback_end=0.45)  # 10 steps of 1/2
    long = row(1, 0, max_weight=1 / 3, feedback_start=0.0, feedback_end=1.0)  # 20 steps of 1/4
    assert short["liked_mean_mass"] == pytest.approx(long["liked_mean_mass"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((2, 0, {"max_weight": 0.0, "feedback_end": 0.3}), (1, 2, {"max_weight": 0.0})),
        ((0, 0, {"max_weight": 0.7}), (0, 0, {"feedback_start": 0.5, "neg_scale": 0.1})),
        ((2, 1, {"neg_scale": 0.0}), (2, 0, {"neg_scale": 0.9})),
        ((2, 1, {"feedback_end": 0.80}), (2, 1, {"feedback_end": 0.81})),
        ((2, 1, {"guidance_scale": 1.0}), (2, 1, {"guidance_scale": 0.6})),
        ((2, 1, {"feedback_start": 1.0, "feedback_end": 1.0}), (0, 0, {})),
        ((0, 2, {"pos_bottleneck_scale": 0.0}), (0, 2, {"pos_bottleneck_scale": 2.0})),
        ((0, 0, {"ramp": 1.0}), (0, 0, {})),
        ((2, 1, {"ramp": 1.0, "max_weight": 0.0}), (0, 0, {})),
        ((2, 1, {"ramp": 1.0, "feedback_end": 1.0}), (2, 1, {"feedback_end": 1.0})),
        ((2, 1, {"ramp": 1.0, "feedback_end": 0.0}), (2, 1, {"feedback_end": 0.0})),
        ((2, 1, {"rescale": 1.0, "guidance_scale": 1.0}), (2, 1, {"guidance_scale": 1.0})),
        ((0, 0, {"middle_scale": 0.0}), (0, 0, {"middle_scale": 2.0})),
    ],
    ids=[
        "weight 0",
        "no references",
        "disliked weight 0",
        "same denoising steps",
        "guidance off",
        "window after the last step",
        "bottleneck of nothing",
        "ramp of nothing",
        "ramp to weight 0",
        "ramp without an end",
        "ramp in one step",
        "rescale without guidance",
        "middle of nothing",
    ],
)
def test_what_the_sampler_ignores_moves_nothing(
    one: tuple[int, int, dict[str, float]], other: tuple[int, int, dict[str, float]]
) -> None:
    assert row(one[0], one[1], **one[2]) == pytest.approx(row(other[0], other[1], **other[2]))


def test_a_ramp_takes_from_the_mass() -> None:
    """The mean over the steps is that of the weights that are met."""
    params = FabricParams(feedback_start=0.2, feedback_end=0.6, ramp=0.7, denoising_steps=10)
    weights = [feedback_weight(i, 10, params) for i in range(10)]
    mass = sum(3 * w / (1 + 3 * w) for w in weights) / 10
    named = {"feedback_start": 0.2, "feedback_end": 0.6, "denoising_steps": 10}
    found = row(3, 0, ramp=0.7, **named)
    assert found["liked_mean_mass"] == pytest.approx(mass)
    assert found["ramp"] > row(3, 0, ramp=0.6, **named)["ramp"] > 0


def test_rescale_moves_a_point_without_references() -> None:
    assert row(0, 0, rescale=1.0)["rescale"] > row(0, 0, rescale=0.5)["rescale"] > 0
    assert row(0, 0, rescale=0.0)["rescale"] == 0


def test_optional_settings_say_when_they_act() -> None:
    assert set(OPTIONAL) <= {name for name, _ in _ACTS}


def rows_of(*strengths: dict[int, float], **params: float) -> np.ndarray:
    """Return the features of the same two liked and two disliked references with strengths."""
    actions = [
        Action(
            FabricParams(**params),  # type: ignore[arg-type]
            POOL[:2],
            POOL[2:],
            {POOL[place].id: value for place, value in given.items()},
        )
        for given in strengths
    ]
    return FeatureMap(SPACE, POOL)(actions)


def columns(found: np.ndarray) -> np.ndarray:
    return found[:, -2 * len(POOL) :]


def test_mass_adds_strengths_up() -> None:
    names = FeatureMap(SPACE, POOL).scalar_names
    settings = {"max_weight": 0.5, "neg_scale": 0.4, "feedback_end": 1.0}
    (found,) = rows_of({0: 2.0, 2: 0.5, 3: 3.0}, **settings)
    assert found[names.index("liked_mean_mass")] == pytest.approx(1.5 / 2.5)
    assert found[names.index("disliked_mean_mass")] == pytest.approx(0.7 / 1.7)


@given(strengths=st.lists(st.floats(0.1, 10), min_size=4, max_size=4))
def test_columns_grow_with_the_share_of_the_attention(strengths: list[float]) -> None:
    """Over the effective size of the set a column is its reference's share of the attention."""
    row = columns(rows_of(dict(enumerate(strengths))))[0]
    for first, second, place in ((*strengths[:2], 0), (*strengths[2:], 6)):
        one, other = row[place : place + 2]
        assert one / (one + other) == pytest.approx(first / (first + second))
        size = (first + second) ** 2 / (first**2 + second**2)
        assert (one + other) ** 2 / (one**2 + other**2) == pytest.approx(size)
    assert not row[2:6].any()


def test_next_to_no_strength_is_next_to_not_being_there() -> None:
    """To the kernel, too, whether references share the attention or add up."""
    features = FeatureMap(SPACE, POOL)
    weak = Action(FabricParams(), POOL[:2], POOL[2:], {POOL[1].id: 1e-9, POOL[3].id: 1e-9})
    alone = Action(FabricParams(), POOL[:1], POOL[2:3])
    both = Action(FabricParams(), POOL[:2], POOL[2:])
    rows = torch.from_numpy(features([weak, alone, both]))
    assert rows[0] == pytest.approx(rows[1], abs=1e-7)
    kernel = ActionKernel(len(features.scalar_names), len(POOL))
    for logit in (-5.0, 0.0, 5.0):
        kernel.initialize(raw_sharing=logit)
        with torch.no_grad():
            matrix = kernel(rows).to_dense()
        assert matrix[0] == pytest.approx(matrix[1], abs=1e-6)
        assert (matrix[0] - matrix[2]).abs().max() > 1e-2


def test_a_set_of_equal_strengths_has_as_many_references() -> None:
    """To the last bit: what was proposed before there were strengths is proposed now."""
    kernel, rows = kernel_and_rows(4)
    for columns in (rows[:, -8:-4], rows[:, -4:]):
        count = (columns > 0).sum(-1, keepdim=True).clamp_min(1)
        with torch.no_grad():
            assert torch.equal(kernel._shared(columns), columns * (2 / count) ** kernel.sharing)


def test_strengths_of_any_size_have_features() -> None:
    found = rows_of({0: 1e308, 1: 1e308, 2: 1e-308}, {0: 1e-308, 1: 1e308})
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_equal_strengths_move_the_mass_alone() -> None:
    """As another feedback weight would."""
    doubled = rows_of(dict.fromkeys(range(4), 2.0), max_weight=0.4)
    assert doubled == pytest.approx(rows_of({}, max_weight=0.8))
    assert np.array_equal(rows_of(dict.fromkeys(range(4), 1.0)), rows_of({}))


@pytest.mark.parametrize(
    "params", [{"max_weight": 0.0}, {"feedback_start": 1.0, "feedback_end": 1}]
)
def test_strengths_of_nothing_move_nothing(params: dict[str, float]) -> None:
    assert np.array_equal(*(rows_of(given, **params) for given in ({0: 3.0, 2: 0.2}, {})))


def test_disliked_act_without_guidance_too() -> None:
    one, other = rows_of({2: 3.0}, {}, guidance_scale=1.0)
    assert not np.array_equal(one, other)


def test_the_search_finds_the_strength_that_helps() -> None:
    """The score is the share of one reference among those that are liked."""
    pool = pool_of(4)
    space = ActionSpace({}, max_liked=2, max_disliked=0, strengths=(0.25, 1, 4))
    history = History(space, pool, (), "maximize", 0)

    def value(action: Action) -> float:
        total = sum(action.strength(reference) for reference in action.liked)
        wanted = (action.strength(r) for r in action.liked if r == pool[0])
        return sum(wanted) / total - 0.3 * (len(action.liked) != 2) if total else -1.0

    for index in range(18):
        proposer = SobolProposer() if index < 6 else SurrogateProposer()
        action = proposer.propose(history).action
        score = Score((value(action), value(action) + 0.01))
        trial = Trial(index, 1, action, "test", (index,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))
    best = max(history.trials, key=lambda trial: value(trial.action)).action
    assert best.strength(pool[0]) == 4
    assert sorted(best.strengths.values()) == [0.25, 4]


def test_equal_weights_inside_and_outside_hide_the_window() -> None:
    same = {"min_weight": 0.5, "max_weight": 0.5}
    space = ActionSpace({**SPACE.domains, "min_weight": Range(0.0, 1.0)})
    features = FeatureMap(space, POOL)
    actions = [
        Action(FabricParams(feedback_start=s, feedback_end=e, **same), POOL[:2])
        for s, e in ((0.0, 0.8), (0.3, 0.5))
    ]
    first, second = (dict(zip(features.scalar_names, r, strict=False)) for r in features(actions))
    assert first == pytest.approx(second)
    assert first["liked_mean_mass"] == pytest.approx(0.5)


def actions_at_random(count: int, references: int = 4) -> list[Action]:
    rng, pool = np.random.default_rng(0), pool_of(references)
    return [SPACE.from_unit(p.tolist(), pool) for p in rng.random((count, SPACE.dimensions(pool)))]


def kernel_and_rows(references: int) -> tuple[ActionKernel, torch.Tensor]:
    features = FeatureMap(SPACE, pool_of(references))
    rows = torch.from_numpy(features(actions_at_random(30, references)))
    return ActionKernel(len(features.scalar_names), references), rows


@pytest.mark.parametrize("references", [0, 1, 4, 32])
def test_kernel_is_a_covariance(references: int) -> None:
    kernel, rows = kernel_and_rows(references)
    with torch.no_grad():
        matrix = kernel(rows).to_dense()
        assert torch.allclose(matrix, matrix.T)
        assert torch.linalg.eigvalsh(matrix).min() > -1e-9
        assert torch.allclose(matrix.diagonal(), kernel(rows, diag=True))
        batched = kernel(rows.reshape(3, 10, -1), rows[:5]).to_dense()
        assert torch.allclose(batched.reshape(30, 5), matrix[:, :5])


def test_kernel_does_not_know_the_order_of_references() -> None:
    kernel, rows = kernel_and_rows(4)
    order = torch.tensor([2, 0, 3, 1])
    scalars, liked, disliked = rows.split([kernel.scalars, 4, 4], -1)
    moved = torch.cat((scalars, liked[:, order], disliked[:, order]), -1)
    with torch.no_grad():
        assert torch.allclose(kernel(rows).to_dense(), kernel(moved).to_dense())


def test_kernel_equals_its_formula() -> None:
    kernel = ActionKernel(1, 2)
    x = torch.tensor([[0.2, 1.0, 0.0, 0.0, 1.0], [0.7, 1.0, 1.0, 0.0, 0.0]]).double()
    a, liked, disliked, verdict, b = kernel.variances.tolist()
    distance = 5**0.5 * 0.5 / kernel.lengthscales.item()
    matern = (1 + distance + distance**2 / 3) * np.exp(-distance)
    # The sets of the second row have two and no members, those of the first one each; t is 1/2.
    first, second = {"liked": (2**0.5, 0), "disliked": (0, 2**0.5)}, {"liked": (1, 1)}
    roles = liked * np.dot(first["liked"], second["liked"])
    roles += verdict * np.dot(np.subtract(first["liked"], first["disliked"]), second["liked"])
    assert disliked > 0
    expected = a * matern + roles * (1 + b * matern)
    assert kernel(x).to_dense()[0, 1].item() == pytest.approx(expected)


def test_gradients_are_finite_where_rows_coincide() -> None:
    kernel, rows = kernel_and_rows(2)
    kernel(torch.cat((rows, rows))).to_dense().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in kernel.parameters())


def test_standardised_scores_and_their_noise() -> None:
    scores = [Score((1.0, 3.0)), Score((5.0, 5.0)), Score((6.0,))]
    found = standardised(scores)
    y, noise = found.outcomes, found.noise
    assert y.mean().item() == pytest.approx(0, abs=1e-12)
    assert y.std(correction=0).item() == pytest.approx(1)
    assert noise is not None
    # Variances of single values: 2 and 0 with a degree of freedom each, 1 on average.
    scale = np.std([2.0, 5.0, 6.0])
    expected = np.array([(2 + 4) / 5 / 2, (0 + 4) / 5 / 2, 1.0]) / scale**2
    assert noise.squeeze().tolist() == pytest.approx(expected.tolist())


def test_noise_is_learnt_where_no_score_has_several_values() -> None:
    found = standardised([Score((1.0,)), Score((2.0,))])
    y, noise = found.outcomes, found.noise
    assert noise is None
    assert y.squeeze().tolist() == pytest.approx([-1, 1])


def history_of(trials: int, seed: int = 0) -> History:
    problem = Problem(seed)
    history = History(problem.space, problem.pool, (), "maximize", seed)
    for index in range(trials):
        action = SobolProposer().propose(history).action
        score = Score((problem.value(action), problem.value(action) + 0.01))
        trial = Trial(index, 1, action, "sobol", (1,), TrialStatus.DONE, score)
        history = replace(history, trials=(*history.trials, trial))
    return history


def test_surrogate_needs_a_score() -> None:
    with pytest.raises(ValueError, match="needs a trial with a score"):
        fit_surrogate(history_of(0))


def test_surrogate_follows_the_scores_and_their_direction() -> None:
    history = history_of(20)
    scores = np.array([trial.score.mean for trial in history.trials if trial.score])
    for direction, sign in (("maximize", 1), ("minimize", -1)):
        surrogate = fit_surrogate(replace(history, direction=direction))  # type: ignore[arg-type]
        means = surrogate.model.posterior(surrogate.observed).mean.squeeze(-1).detach().numpy()
        assert surrogate.fitted
        assert np.corrcoef(means, sign * scores)[0, 1] > 0.9


@pytest.mark.parametrize("error", [ModelFittingError, RuntimeError, ValueError])
def test_failed_fit_keeps_the_prior(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error("no luck")

    monkeypatch.setattr(surrogate_module, "fit_gpytorch_mll", broken)
    surrogate = fit_surrogate(history_of(5))
    assert not surrogate.fitted
    assert torch.isfinite(surrogate.model.posterior(surrogate.observed).mean).all()


def test_known_references_come_in_a_fixed_order() -> None:
    history = history_of(5)
    shrunk = replace(history, pool=history.pool[5:])
    known = known_references(shrunk)
    assert known[:3] == history.pool[5:]
    assert len(set(known)) == len(known)


@pytest.mark.parametrize("proposer", [HandProposer(), RandomProposer(), SobolProposer()])
def test_baselines_start_by_hand_and_repeat_themselves(proposer: Proposer) -> None:
    history = history_of(4)
    empty = replace(history, trials=())
    assert proposer.propose(empty).action == history.space.hand_action(history.pool)
    assert proposer.propose(history) == proposer.propose(history)
    assert history.space.contains(proposer.propose(history).action, history.pool)


@pytest.mark.parametrize("proposer", [RandomProposer(), SobolProposer()])
def test_baselines_try_every_role_of_every_reference(proposer: Proposer) -> None:
    history = History(ActionSpace(), pool_of(8), (), "maximize", 0)
    seen = set()
    for index in range(17):
        action = proposer.propose(history).action
        if index:
            seen |= {(r.id, action.role(r)) for r in history.pool}
        trial = Trial(index, 1, action, "test", (1,))
        history = replace(history, trials=(*history.trials, trial))
    actions = [trial.action for trial in history.trials]
    assert len(seen) == 24
    assert all(one != other for one, other in itertools.combinations(actions, 2))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_estimates_are_in_units_of_the_scores(direction) -> None:
    history = replace(history_of(20), direction=direction)
    trials = [
        replace(t, score=Score(tuple(1000 + 50 * v for v in t.score.values)))
        for t in history.trials
        if t.score
    ]
    estimates = SurrogateProposer().assess(replace(history, trials=tuple(trials))).estimates
    scores = np.array([t.score.mean for t in trials if t.score])
    means = np.array([estimates[t.index][0].mean for t in trials])
    assert np.corrcoef(means, scores)[0, 1] > 0.9
    assert abs(means.mean() - scores.mean()) < scores.std() / 2
    assert all(0 < e.standard_error < 3 * scores.std() for (e,) in estimates.values())


def test_without_scores_nothing_is_estimated() -> None:
    assert SurrogateProposer().assess(history_of(0)).estimates == {}


def test_an_estimate_is_closer_to_the_truth_than_the_luckiest_mean() -> None:
    """Replicates of a few actions with much noise: what they have in common is the truth."""
    problem, rng = Problem(3), np.random.default_rng(0)
    history = history_of(6, seed=3)
    actions = [trial.action for trial in history.trials]
    trials = []
    for index in range(24):
        action = actions[index % 6]
        noisy = problem.value(action) + rng.normal(size=4)
        score = Score(tuple(float(v) for v in noisy))
        trials.append(Trial(index, 1, action, "sobol", (1,), TrialStatus.DONE, score))
    found = SurrogateProposer().assess(replace(history, trials=tuple(trials))).estimates
    truth = np.array([problem.value(trial.action) for trial in trials])
    estimated = np.array([found[i][0].mean for i in range(24)])
    observed = np.array([trial.score.mean for trial in trials if trial.score])
    assert np.abs(estimated - truth).mean() < np.abs(observed - truth).mean()
