"""The Ax experiment of a study that measures several things, and guests that are told of them."""

from dataclasses import replace

import pytest
from ax.core.optimization_config import MultiObjectiveOptimizationConfig
from ax.core.trial_status import TrialStatus as AxStatus

from fabricbo.proposers import make_proposer
from fabricbo.proposers.ax_experiment import MirroredExperiment, metric_names
from fabricbo.protocols import History
from fabricbo.records import Trial, TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.space import ActionSpace, Range

SPACE = ActionSpace({"guidance_scale": Range(1.0, 9.0), "prompt_dropout": Range(0.0, 0.8)})


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


def test_drawn_trials_are_running_until_they_are_scored() -> None:
    history = history_of()
    drawn = Trial(0, 1, SPACE.hand_action(()), "hand", (1,), TrialStatus.PENDING)
    mirror = MirroredExperiment(replace(history, trials=(drawn,)))
    for status, expected in (
        (TrialStatus.DRAWN, AxStatus.RUNNING),
        (TrialStatus.DONE, AxStatus.COMPLETED),
    ):
        score = Score((1.0, 2.0)) if status is TrialStatus.DONE else None
        now = replace(history, trials=(replace(drawn, status=status, score=score),))
        assert mirror.precedes(now)
        mirror.extend(now)
        assert mirror.experiment.trials[0].status is expected
    assert len(mirror.experiment.lookup_data().df) == 1


def play(name: str, history: History, values, trials: int) -> History:
    proposer = make_proposer(name)
    while len(history.trials) < trials:
        action = proposer.propose(history).action
        history = scored(history, action, *values(action.params))
    return history


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-gp"])
def test_optuna_keeps_bounds(name: str) -> None:
    """The score grows with guidance, the bound allows half of it."""
    bounded = history_of(Measure("guidance", "minimize", at_most=5.0))
    late = play(name, bounded, lambda p: (p.guidance_scale, p.guidance_scale), 30).trials[20:]
    free = play(name, history_of(), lambda p: (p.guidance_scale,), 30).trials[20:]
    kept = [sum(t.action.params.guidance_scale <= 5.0 for t in trials) for trials in (late, free)]
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
