"""The proposer through Ax: stages, determinism, feasibility, the experiment it keeps."""

import math
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.proposer_problem import pool_of
from fabricbo.proposers import AxProposer, SobolProposer
from fabricbo.proposers import bayes as bayes_module
from fabricbo.proposers import surrogate as surrogate_module
from fabricbo.protocols import History, Proposer
from fabricbo.records import Action, FabricParams, Reference, Role, Trial, TrialStatus
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Choice, Domain, Range

SMALL = {"max_weight": Range(0.0, 1.5)}


def smooth(action: Action) -> float:
    """Score that depends on every parameter of the default space and on two references."""
    params = action.params
    liked = {reference.name for reference in action.liked}
    return (
        -((params.feedback_end - 0.6) ** 2)
        - (params.max_weight - 0.7) ** 2
        + 0.3 * ("reference 0" in liked)
        - 0.3 * ("reference 1" in liked)
    )


def start(space: ActionSpace, references: int = 4, seed: int = 0) -> History:
    return History(space, pool_of(references), (), "maximize", seed)


def scored(history: History, action: Action, *values: float, source: str = "test") -> History:
    index = len(history.trials)
    trial = Trial(index, 1, action, source, (1,), TrialStatus.DONE, Score(values))
    return replace(history, trials=(*history.trials, trial))


def played(
    history: History,
    trials: int,
    proposer: Proposer,
    *,
    values: Callable[[Action], tuple[float, ...]] = lambda a: (smooth(a) - 0.01, smooth(a) + 0.01),
) -> History:
    for _ in range(trials):
        proposal = proposer.propose(history)
        history = scored(history, proposal.action, *values(proposal.action), source=proposal.source)
    return history


def sources(history: History) -> list[str]:
    return [trial.source for trial in history.trials]


def test_importing_the_package_loads_neither_torch_nor_ax() -> None:
    code = (
        "import sys, fabricbo.proposers\n"
        "print([m for m in ('torch', 'ax', 'botorch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_stages_follow_each_other_and_the_baseline_is_first() -> None:
    history = played(start(ActionSpace()), 8, AxProposer(initial_trials=4))
    assert sources(history) == ["hand"] + ["sobol"] * 4 + ["bo"] * 3
    assert history.trials[0].action == history.space.hand_action(history.pool)


def test_initial_trials_must_be_positive() -> None:
    with pytest.raises(ValueError, match="initial_trials must be at least 1, got 0"):
        AxProposer(initial_trials=0)


def test_no_experiment_before_the_first_proposal() -> None:
    with pytest.raises(RuntimeError, match="before the first call of propose"):
        AxProposer().experiment  # noqa: B018


def test_same_history_same_proposal_also_after_a_rebuild() -> None:
    kept = AxProposer(initial_trials=3)
    history = start(ActionSpace())
    for _ in range(8):
        proposal = kept.propose(history)
        assert kept.propose(history) == proposal
        assert AxProposer(initial_trials=3).propose(history) == proposal
        history = scored(history, proposal.action, smooth(proposal.action), source=proposal.source)
    other = replace(history, seed=1)
    assert AxProposer(initial_trials=3).propose(other) != kept.propose(history)


def test_history_that_does_not_extend_the_last_one_is_copied_anew() -> None:
    proposer = AxProposer(initial_trials=2)
    played(start(ActionSpace()), 5, proposer)
    other = played(start(ActionSpace(), references=2, seed=3), 4, SobolProposer())
    assert proposer.propose(other) == AxProposer(initial_trials=2).propose(other)
    assert len(proposer.experiment.trials) == 4


def test_global_random_state_is_untouched() -> None:
    history = played(start(ActionSpace()), 5, SobolProposer())
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    assert AxProposer(initial_trials=4).propose(history).source == "bo"
    assert random.getstate() == before[0]
    assert all(map(np.array_equal, np.random.get_state(), before[1]))
    assert torch.equal(torch.get_rng_state(), before[2])


def test_global_random_state_does_not_matter() -> None:
    history = played(start(ActionSpace()), 5, SobolProposer())
    proposals = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        proposals.append(AxProposer(initial_trials=4).propose(history))
    assert proposals[0] == proposals[1]


SPACES = {
    "default": ActionSpace(),
    "capped": ActionSpace(max_liked=1, max_disliked=0),
    "mixed": ActionSpace(
        {
            "feedback_start": Choice((0.0, 0.3, 0.6)),
            "feedback_end": Range(0.2, 0.9),
            "max_weight": Range(0.05, 2.0, log=True),
            "min_weight": Range(0.0, 0.2),
            "guidance_scale": Choice((1.0, 3.0, 5.0)),
            "denoising_steps": Range(10, 30),
            "pos_bottleneck_scale": Range(0.0, 2.0),
            "prompt_dropout": Range(0.0, 0.5),
        }
    ),
    "fixed start": ActionSpace(
        {"feedback_end": Range(0.0, 1.0)}, hand=FabricParams(feedback_start=0.3)
    ),
    "fixed end": ActionSpace({"feedback_start": Choice((0.0, 0.5, 0.9))}),
    "roles only": ActionSpace({}),
    "no roles": ActionSpace(roles=False),
}


VARYING = {
    f"{name}, {references} references": (space, references)
    for name, space in SPACES.items()
    for references in (0, 3)
    if space.dimensions(pool_of(references))
}


@pytest.mark.parametrize(("space", "references"), VARYING.values(), ids=VARYING)
def test_every_proposal_is_feasible_and_new(space: ActionSpace, references: int) -> None:
    history = played(start(space, references), 9, AxProposer(initial_trials=3))
    actions = [trial.action for trial in history.trials]
    assert all(space.contains(action, history.pool) for action in actions[1:])
    assert len(set(actions)) == len(actions) or sources(history)[-1] == "bo-repeat"


def test_exhausted_space_repeats_and_says_so() -> None:
    history = played(start(ActionSpace({}), references=1), 4, AxProposer(initial_trials=2))
    assert sources(history)[-1] == "bo-repeat"
    nothing = ActionSpace({}, roles=False)
    assert played(start(nothing), 4, AxProposer(initial_trials=2)).trials[-1].action == (
        nothing.hand_action(pool_of(4))
    )


def test_minimize_goes_the_other_way() -> None:
    history = played(
        replace(start(ActionSpace(SMALL, roles=False)), direction="minimize"),
        12,
        AxProposer(initial_trials=3),
        values=lambda action: ((action.params.max_weight - 1.2) ** 2,),
    )
    best = min(history.trials, key=lambda t: t.score.mean if t.score else math.inf)
    assert abs(best.action.params.max_weight - 1.2) < 0.1


def test_pending_trials_are_conditioned_on() -> None:
    history = played(start(ActionSpace()), 6, SobolProposer())
    proposer = AxProposer(initial_trials=4)
    first = proposer.propose(history)
    pending = Trial(6, 1, first.action, first.source, (1,))
    waiting = replace(history, trials=(*history.trials, pending))
    second = proposer.propose(waiting)
    assert second.source == "bo"
    assert second.action != first.action
    assert proposer.experiment.trials[6].status.name == "RUNNING"
    failed = replace(pending, status=TrialStatus.FAILED, reason="out of memory")
    third = proposer.propose(replace(history, trials=(*history.trials, failed)))
    assert third.action != first.action
    assert proposer.experiment.trials[6].status.name == "FAILED"
    assert proposer.experiment.trials[6].status_reason == "out of memory"


def test_sobol_goes_on_until_something_is_known() -> None:
    history = start(ActionSpace())
    proposer = AxProposer(initial_trials=2)
    for index in range(6):
        proposal = proposer.propose(history)
        status = TrialStatus.FAILED if index < 4 else TrialStatus.PROPOSED
        trial = Trial(index, 1, proposal.action, proposal.source, (1,), status, reason="broken")
        history = replace(history, trials=(*history.trials, trial))
    assert sources(history) == ["hand"] + ["sobol"] * 5
    assert proposer.propose(history).source == "sobol"


def test_references_that_join_and_leave() -> None:
    proposer = AxProposer(initial_trials=3)
    history = played(start(ActionSpace(), references=3), 6, proposer)
    grown = played(replace(history, pool=pool_of(5)), 3, proposer)
    assert AxProposer(initial_trials=3).propose(grown) == proposer.propose(grown)
    parameter = proposer.experiment.search_space.parameters["role_id4"]
    assert parameter.backfill_value == "unused"
    shrunk = played(replace(grown, pool=pool_of(2)), 2, proposer)
    assert AxProposer(initial_trials=3).propose(shrunk) == proposer.propose(shrunk)
    assert proposer.experiment.search_space.parameters["role_id4"].is_disabled
    assert all(shrunk.space.contains(t.action, shrunk.pool) for t in shrunk.trials[-2:])
    again = replace(shrunk, pool=pool_of(5))
    assert again.space.contains(proposer.propose(again).action, again.pool)
    assert not proposer.experiment.search_space.parameters["role_id4"].is_disabled


def test_hand_settings_outside_the_space() -> None:
    domains: dict[str, Domain] = {
        "max_weight": Range(0.9, 1.5, log=True),
        "guidance_scale": Choice((3.0, 5.0)),
    }
    history = played(start(ActionSpace(domains)), 6, AxProposer(initial_trials=2))
    assert sources(history)[-1] == "bo"
    assert all(history.space.contains(t.action, history.pool) for t in history.trials[1:])


DEGENERATE: dict[str, Callable[[int], tuple[float, ...]]] = {
    "all equal": lambda _: (0.5,),
    "all equal, several values": lambda _: (0.5, 0.5, 0.5),
    "all zero": lambda _: (0.0, 0.0),
    "tiny": lambda i: (1e-12 * i, 1e-12 * (i + 0.1)),
    "huge": lambda i: (1e12 * i, 1e12 * (i + 0.1)),
    "enormous": lambda i: (1e149 * (-1) ** i, 9e149),
    "offset": lambda i: (1e9 + 1e-3 * i,),
    "one outlier": lambda i: (1e12 if i == 3 else 0.1 * i, 0.0),
    "one value and several": lambda i: (0.1 * i,) * (1 + i % 3),
}


@pytest.mark.parametrize("value", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_scores_never_stop_it(value: Callable[[int], tuple[float, ...]]) -> None:
    proposer, history = AxProposer(initial_trials=3), start(ActionSpace())
    for index in range(8):
        proposal = proposer.propose(history)
        history = scored(history, proposal.action, *value(index), source=proposal.source)
    assert set(sources(history)[4:]) <= {"bo", "bo-fallback"}
    assert len({trial.action for trial in history.trials}) == 8


def test_one_observation_and_duplicates() -> None:
    history = start(ActionSpace())
    hand = history.space.hand_action(history.pool)
    one = scored(history, hand, 0.3)
    assert bayes_module.SurrogateProposer().propose(one).source == "bo"
    many = one
    for value in (0.1, 0.5, 0.2, 0.2):
        many = scored(many, hand, value)
    proposal = AxProposer(initial_trials=3).propose(many)
    assert proposal.source == "bo"
    assert proposal.action != hand


def test_failed_fit_falls_back_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(surrogate_module, "fit_gpytorch_mll", broken)
    history = played(start(ActionSpace()), 5, SobolProposer())
    assert AxProposer(initial_trials=3).propose(history).source == "bo-fallback"
    assert "no luck" in caplog.text
    monkeypatch.setattr(bayes_module, "best_action", broken)
    proposal = AxProposer(initial_trials=3).propose(history)
    assert proposal.source == "sobol-fallback"
    assert history.space.contains(proposal.action, history.pool)


def test_the_experiment_is_complete() -> None:
    proposer = AxProposer(initial_trials=3)
    history = played(start(ActionSpace()), 5, proposer)
    proposer.propose(history)
    frame = proposer.experiment.to_df()
    assert list(frame["generation_node"]) == sources(history)
    assert list(frame["trial_status"]) == ["COMPLETED"] * 5
    assert list(frame["role_id0"]) == [str(t.action.role(history.pool[0])) for t in history.trials]
    assert list(frame["max_weight"]) == [t.action.params.max_weight for t in history.trials]
    data = proposer.experiment.lookup_data().df
    errors = [t.score.standard_error for t in history.trials if t.score]
    assert list(data["sem"]) == pytest.approx(errors)
    assert [str(c) for c in proposer.experiment.search_space.parameter_constraints] == [
        "ParameterConstraint(-1.0*feedback_end + 1.0*feedback_start <= 0.0)"
    ]


def test_unknown_errors_are_nan_and_minimize_is_declared() -> None:
    proposer = AxProposer(initial_trials=3)
    history = replace(start(ActionSpace()), direction="minimize")
    history = played(history, 2, proposer, values=lambda _: (1.0,))
    proposer.propose(history)
    assert proposer.experiment.lookup_data().df["sem"].isna().all()
    assert proposer.experiment.optimization_config.objective.expression == "-score"


@pytest.mark.parametrize(
    ("domains", "name", "expected"),
    [
        ({"feedback_start": Range(0.0, 1.0)}, "feedback_start", (0.0, 0.8)),
        ({"feedback_end": Range(0.1, 0.9)}, "feedback_end", (0.1, 0.9)),
    ],
    ids=["end fixed", "start fixed"],
)
def test_next_to_a_fixed_end_the_bound_is_tightened(
    domains: dict[str, Domain], name: str, expected: tuple[float, float]
) -> None:
    proposer = AxProposer()
    proposer.propose(start(ActionSpace(domains)))
    parameter = proposer.experiment.search_space.parameters[name]
    assert (parameter.lower, parameter.upper) == expected
    assert not proposer.experiment.search_space.parameter_constraints


def test_an_analysis_of_ax_works_on_the_experiment() -> None:
    from ax.analysis.summary import Summary

    proposer = AxProposer(initial_trials=3)
    history = played(start(ActionSpace()), 6, proposer)
    proposer.propose(history)
    card = Summary().compute(experiment=proposer.experiment)
    assert len(card.df) == 6


def test_references_keep_their_effect_whatever_their_name() -> None:
    history = played(start(ActionSpace()), 8, SobolProposer())
    renamed = tuple(Reference(r.id, "x", r.image, Role.LIKED) for r in history.pool)
    proposer = AxProposer(initial_trials=3)
    assert proposer.propose(history) == proposer.propose(replace(history, pool=renamed))
