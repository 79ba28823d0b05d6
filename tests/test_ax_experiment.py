"""The Ax experiment of a study that measures several things, and guests that are told of them."""

import keyword
import math
from dataclasses import replace

import pytest
from ax.core.optimization_config import MultiObjectiveOptimizationConfig
from ax.core.trial_status import TrialStatus as AxStatus

from fabricbo.proposers import make_proposer
from fabricbo.proposers.ax_experiment import MirroredExperiment, metric_names
from fabricbo.proposers.optuna_study import constraints_of
from fabricbo.protocols import History
from fabricbo.records import Trial, TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.space import ActionSpace, Range

SPACE = ActionSpace({"guidance_scale": Range(1.0, 9.0), "prompt_dropout": Range(0.0, 0.8)})
WORDS = ("test", "beta", "E", "min", "beats_baseline", "a__dot__b", "a b/c: d-e", "猫", "", "1e5")


def scored(history: History, action, *values: float) -> History:
    index = len(history.trials)
    scores = [Score((value, value + 0.02)) for value in values]
    trial = Trial(index, 1, action, "test", (index,), TrialStatus.DONE, scores[0])
    trial = replace(trial, further=tuple(scores[1:]))
    return replace(history, trials=(*history.trials, trial))


def history_of(*further: Measure, reference_point: float | None = None) -> History:
    return History(SPACE, (), (), "maximize", 0, further=further, reference_point=reference_point)


def test_metrics_bounds_and_data_of_a_constrained_study() -> None:
    history = history_of(Measure("nsfw", "minimize", at_least=-1.0, at_most=0.1))
    history = scored(history, SPACE.hand_action(()), 3.0, 0.05)
    experiment = MirroredExperiment(history).experiment
    config = experiment.optimization_config
    assert not isinstance(config, MultiObjectiveOptimizationConfig)
    assert config.objective.metric_names == ["score"]
    lower = {name: metric.lower_is_better for name, metric in experiment.metrics.items()}
    assert lower == {"score": False, "nsfw": True}
    bounds = {(c.metric_names[0], c.op.name, c.bound) for c in config.outcome_constraints}
    assert bounds == {("nsfw", "LEQ", 0.1), ("nsfw", "GEQ", -1.0)}
    rows = experiment.lookup_data().df.set_index("metric_name")
    assert rows.loc["score", "mean"] == pytest.approx(3.01)
    assert rows.loc["nsfw", "sem"] == pytest.approx(history.trials[0].further[0].standard_error)


def test_several_objectives_and_their_reference_points() -> None:
    loss = Measure("my loss", "minimize", reference_point=2.0)
    history = history_of(loss, Measure("x-y"), reference_point=0.5)
    config = MirroredExperiment(history).experiment.optimization_config
    assert isinstance(config, MultiObjectiveOptimizationConfig)
    assert config.objective.expression.replace(" ", "") == "score,-my_loss,x_y"
    thresholds = {(c.metric_names[0], c.op.name, c.bound) for c in config.objective_thresholds}
    assert thresholds == {("score", "GEQ", 0.5), ("my_loss", "LEQ", 2.0)}


def test_metric_names_are_valid_and_differ() -> None:
    measures = [Measure(n) for n in ("first", "a b", "a-b", "score", "1st", "baseline", "schön")]
    names = metric_names(measures)
    assert names[0] == "score"
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.isascii() for name in names)
    assert "baseline" not in names


@pytest.mark.parametrize(
    "name",
    [*WORDS, *keyword.kwlist],
)
def test_any_name_is_a_metric_with_an_absolute_bound(name: str) -> None:
    """Ax reads expressions by SymPy, which knows many words, and "baseline" as a relative bound."""
    for bounded in (Measure(name, at_least=0.25), Measure(name, "minimize")):
        mirror = MirroredExperiment(history_of(bounded))
        config = mirror.experiment.optimization_config
        found = [(c.metric_names, c.bound, c.relative) for c in config.outcome_constraints]
        assert found == ([([mirror.metrics[1]], 0.25, False)] if bounded.is_constraint else [])
        assert config.metric_names == set(mirror.metrics)


def test_numbered_names_do_not_meet_others() -> None:
    names = metric_names([Measure(n) for n in ("first", "a b", "a_b_2", "a-b", "beta_2", "beta")])
    assert names == ("score", "a_b", "a_b_2", "a_b_3", "beta_2", "beta_3")


def test_equal_bounds_are_kept_to_nine_digits() -> None:
    config = MirroredExperiment(
        history_of(Measure("cats", at_least=3.0, at_most=3.0))
    ).experiment.optimization_config
    bounds = {c.op.name: c.bound for c in config.outcome_constraints}
    assert bounds == {"GEQ": 3.0, "LEQ": pytest.approx(3.0, rel=2e-9)}


def test_single_values_have_no_standard_error() -> None:
    history = history_of(Measure("whole batch"))
    trial = Trial(0, 1, SPACE.hand_action(()), "hand", (1,), TrialStatus.DONE, Score((1.0, 3.0)))
    history = replace(history, trials=(replace(trial, further=(Score((5.0,)),)),))
    rows = MirroredExperiment(history).experiment.lookup_data().df.set_index("metric_name")
    assert rows.loc["score", "sem"] == pytest.approx(1.0)
    assert rows.loc["whole_batch", "mean"] == 5.0
    assert math.isnan(rows.loc["whole_batch", "sem"])


def test_drawn_trials_are_running_until_they_are_scored() -> None:
    history = history_of()
    drawn = Trial(0, 1, SPACE.hand_action(()), "hand", (1,), TrialStatus.PROPOSED)
    mirror = MirroredExperiment(replace(history, trials=(drawn,)))
    for status, expected in (
        (TrialStatus.AWAITING_RATING, AxStatus.RUNNING),
        (TrialStatus.DONE, AxStatus.COMPLETED),
    ):
        score = Score((1.0, 2.0)) if status is TrialStatus.DONE else None
        now = replace(history, trials=(replace(drawn, status=status, score=score),))
        assert mirror.precedes(now)
        mirror.extend(now)
        assert mirror.experiment.trials[0].status is expected
    assert len(mirror.experiment.lookup_data().df) == 1


def test_drawn_trials_may_fail() -> None:
    history = history_of(Measure("nsfw", at_most=0.1))
    drawn = Trial(0, 1, SPACE.hand_action(()), "hand", (1,), TrialStatus.AWAITING_RATING)
    mirror = MirroredExperiment(replace(history, trials=(drawn,)))
    assert mirror.experiment.trials[0].status is AxStatus.RUNNING
    failed = replace(drawn, status=TrialStatus.FAILED, reason="power cut")
    assert mirror.precedes(replace(history, trials=(failed,)))
    mirror.extend(replace(history, trials=(failed,)))
    assert mirror.experiment.trials[0].status is AxStatus.FAILED
    assert mirror.experiment.lookup_data().df.empty


def test_what_another_history_says_is_not_taken_over() -> None:
    history = history_of(Measure("nsfw", at_most=0.1))
    history = scored(history, SPACE.hand_action(()), 3.0, 0.05)
    mirror = MirroredExperiment(history)
    assert mirror.precedes(history)
    (trial,) = history.trials
    assert not mirror.precedes(
        replace(history, trials=(replace(trial, further=(Score((0.2,)),)),)),
    )
    assert not mirror.precedes(replace(history, trials=()))
    for further in ((), (Measure("nsfw", at_most=0.2),), (*history.further, Measure("other"))):
        assert not mirror.precedes(replace(history, further=further))


def play(name: str, history: History, values, trials: int) -> History:
    proposer = make_proposer(name)
    while len(history.trials) < trials:
        action = proposer.propose(history).action
        history = scored(history, action, *values(action.params))
    return history


def test_violations_are_above_zero() -> None:
    further = (Measure("a", at_least=2.0), Measure("b"), Measure("c", at_least=0.0, at_most=1.0))
    history = scored(history_of(*further), SPACE.hand_action(()), 9.0, 1.0, 7.0, 3.0)
    found = constraints_of(history.trials[0], history)
    assert found == pytest.approx({"a >=": 0.99, "c >=": -3.01, "c <=": 2.01})
    pending = replace(history.trials[0], status=TrialStatus.PROPOSED, score=None, further=())
    assert constraints_of(pending, history) == {}


@pytest.mark.parametrize("bound", ["at_most", "at_least"])
@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-gp"])
def test_optuna_keeps_bounds(name: str, bound: str) -> None:
    """The score is best at one end of the guidance, the bound allows the other half of it."""
    sign = 1 if bound == "at_most" else -1

    def values(params) -> tuple[float, float]:
        return sign * params.guidance_scale, params.guidance_scale

    bounded, loose = Measure("half", **{bound: 5.0}), Measure("all", **{bound: sign * 99.0})
    nearly = Measure("half", **{bound: 5.0 + sign * 0.5})  # the search goes to the very edge
    kept = [
        sum(nearly.allows(trial.scores[1].mean) for trial in late.trials[20:])
        for late in (play(name, history_of(m), values, 30) for m in (bounded, loose))
    ]
    assert kept[0] > kept[1] + 3


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-gp"])
def test_optuna_takes_several_objectives(name: str) -> None:
    def values(params) -> tuple[float, float]:
        return params.guidance_scale, params.prompt_dropout

    history = history_of(Measure("dropout", "minimize"))
    late = play(name, history, values, 24).trials[16:]
    corner = [t.action.params.guidance_scale / 9 - t.action.params.prompt_dropout for t in late]
    assert sum(corner) / len(corner) > 0.45


def test_cmaes_refuses_what_it_cannot_do() -> None:
    for further in (Measure("other"), Measure("nsfw", at_most=0.1)):
        with pytest.raises(ValueError, match=f"without bounds, got score, {further.name}"):
            make_proposer("cmaes").propose(history_of(further))


@pytest.mark.parametrize(
    "further", [Measure("other", "minimize"), Measure("nsfw", "minimize", at_most=5.0)]
)
def test_stock_ax_takes_several_measures(further: Measure) -> None:
    history = history_of(further)
    history = play("ax", history, lambda p: (p.guidance_scale, p.guidance_scale), 7)
    sources = {make_proposer("ax").propose(history).source}
    assert sources == {"ax-mbm"}
