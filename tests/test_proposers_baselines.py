"""The proposers that are there to be compared with: names, promises of all, learning of some."""

import logging
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabricbo import compose
from fabricbo.proposers import (
    PRESETS,
    PROPOSERS,
    HandProposer,
    ProposerError,
    RandomProposer,
    check_task,
    make_proposer,
)
from fabricbo.proposers.quiet import quiet
from fabricbo.protocols import History, Proposer
from fabricbo.records import Action, FabricParams, Trial, TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.space import ActionSpace, Choice, Range
from fabricbo.study import SettingsError, check_settings
from tests.fakes import ColourSampler, redness
from tests.test_space import REFERENCES, pools, spaces

QUICK = ("hand", "random", "sobol", "optuna-tpe", "cmaes")
OPTUNA = ("optuna-tpe", "optuna-gp", "cmaes")
LEARNING = (*OPTUNA, "ax")
ENOUGH = 12
"""Trials after which each of them proposes by what it has learnt."""
MIXED = ActionSpace(
    {
        "feedback_start": Choice((0.0, 0.3, 0.6)),
        "feedback_end": Range(0.2, 0.9),
        "max_weight": Range(0.05, 2.0, log=True),
        "guidance_scale": Choice((1.0, 3.0, 5.0)),
        "denoising_steps": Range(10, 30),
    },
    max_liked=1,
    max_disliked=1,
)


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def start(space: ActionSpace, references: int = 3, seed: int = 0) -> History:
    return History(space, REFERENCES[:references], (), "maximize", seed)


def distance(action: Action) -> float:
    """A bowl over two parameters: 0 at weight 0.3 and scale 0.2, far from the hand settings."""
    params = action.params
    return (params.max_weight - 0.3) ** 2 + (params.neg_scale - 0.2) ** 2


def told(history: History, action: Action, source: str, status: TrialStatus) -> History:
    score = Score((distance(action), distance(action) + 0.01))
    done = status is TrialStatus.DONE
    index = len(history.trials)
    trial = Trial(index, 1, action, source, (1,), status, score if done else None)
    return replace(history, trials=(*history.trials, trial))


def always(_: int) -> TrialStatus:
    return TrialStatus.DONE


def played(
    history: History,
    trials: int,
    proposer: Proposer,
    status: Callable[[int], TrialStatus] = always,
) -> History:
    for _ in range(trials):
        proposal = proposer.propose(history)
        history = told(history, proposal.action, proposal.source, status(len(history.trials)))
    return history


# Names


@pytest.mark.parametrize("name", PROPOSERS)
def test_first_is_the_hand_settings(name: str) -> None:
    assert PROPOSERS[name]
    history = start(MIXED)
    proposal = make_proposer(name).propose(history)
    assert (proposal.action, proposal.source) == (MIXED.hand_action(history.pool), "hand")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("sobl", "did you mean sobol"), ("optuna-tp", "did you mean optuna-tpe"), ("x", "got 'x'")],
)
def test_unknown_name_is_told_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ProposerError, match=f"must be one of fabricbo, hand, .*{hint}"):
        make_proposer(name)


@pytest.mark.parametrize("name", OPTUNA)
def test_missing_extra_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ProposerError, match=r"needs optuna, .* pip install 'fabricbo\[optuna\]'"):
        make_proposer(name)


def test_names_load_neither_torch_nor_ax_nor_optuna() -> None:
    code = (
        "import sys\nfrom fabricbo.proposers import check_proposer\n"
        "check_proposer('cmaes')\n"
        "print([m for m in ('torch', 'ax', 'botorch', 'optuna', 'cmaes') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What all of them keep


@given(space=spaces(), pool=pools, grown=pools, seed=st.integers(0, 2**40), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_space_and_pool(
    space: ActionSpace, pool: tuple, grown: tuple, seed: int, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(QUICK))
    states = data.draw(st.lists(st.sampled_from(TrialStatus), min_size=14, max_size=14))
    history = History(space, pool, (), data.draw(st.sampled_from(("maximize", "minimize"))), seed)
    history = played(history, ENOUGH, make_proposer(name), lambda index: states[index])
    grown_history = replace(history, pool=tuple(dict.fromkeys((*pool, *grown))))
    proposal = make_proposer(name).propose(grown_history)
    assert make_proposer(name).propose(grown_history) == proposal
    for action, at in [(t.action, history) for t in history.trials] + [
        (proposal.action, grown_history)
    ]:
        assert space.contains(action, at.pool) or action == space.hand_action(at.pool)


@pytest.mark.parametrize("references", [0, 3, 7])
@pytest.mark.parametrize("space", [ActionSpace(), MIXED], ids=["default", "mixed"])
@pytest.mark.parametrize("name", [*OPTUNA, "random"])
def test_feasible_and_the_same_after_a_restart(
    name: str, space: ActionSpace, references: int
) -> None:
    kept = make_proposer(name)
    history = played(start(space, references), ENOUGH, RandomProposer())
    for _ in range(2):
        proposal = kept.propose(history)
        assert space.contains(proposal.action, history.pool)
        assert make_proposer(name).propose(history) == proposal
        assert kept.propose(replace(history, seed=1)).action != proposal.action
        history = told(history, proposal.action, proposal.source, TrialStatus.DONE)


@pytest.mark.parametrize("name", OPTUNA)
def test_pool_that_grows_and_trials_without_a_score(name: str) -> None:
    states = {2: TrialStatus.FAILED, 5: TrialStatus.PROPOSED, 13: TrialStatus.PROPOSED}
    history = start(ActionSpace(), references=3)
    history = played(history, ENOUGH + 2, RandomProposer(), lambda i: states.get(i, always(i)))
    grown = played(replace(history, pool=REFERENCES), 2, make_proposer(name))
    assert all(grown.space.contains(t.action, grown.pool) for t in grown.trials)
    assert {t.source for t in grown.trials[-2:]} == {name}


@pytest.mark.parametrize("status", [s for s in TrialStatus if s is not TrialStatus.DONE])
@pytest.mark.parametrize("name", [*OPTUNA, "ax"])
def test_without_any_score_points_differ(name: str, status: TrialStatus) -> None:
    history = played(start(ActionSpace()), 7, make_proposer(name), lambda _: status)
    assert len({trial.action for trial in history.trials}) == 7


@pytest.mark.parametrize("status", [TrialStatus.PROPOSED, TrialStatus.AWAITING_RATING])
@pytest.mark.parametrize("name", OPTUNA)
def test_a_trial_on_its_way_is_known(name: str, status: TrialStatus) -> None:
    history = played(start(ActionSpace()), ENOUGH, RandomProposer())
    first = make_proposer(name).propose(history)
    waiting = told(history, first.action, first.source, status)
    assert make_proposer(name).propose(waiting).action != first.action


@pytest.mark.parametrize("name", OPTUNA)
def test_hand_settings_outside_the_space(name: str) -> None:
    space = ActionSpace({"max_weight": Range(0.9, 1.5, log=True), "neg_scale": Choice((0.1, 0.2))})
    history = played(start(space), ENOUGH + 1, make_proposer(name))
    assert all(space.contains(t.action, history.pool) for t in history.trials[1:])


@pytest.mark.parametrize("name", [*OPTUNA, "ax"])
def test_nothing_to_choose(name: str) -> None:
    space = ActionSpace({}, roles=False)
    history = played(start(space), 3, make_proposer(name))
    assert {trial.action for trial in history.trials} == {space.hand_action(history.pool)}


def test_references_above_a_cap_are_not_chosen_by_their_place() -> None:
    space = ActionSpace({}, max_liked=1, max_disliked=0)
    liked = [
        reference
        for seed in range(8)
        for trial in played(start(space, seed=seed), 6, make_proposer("optuna-tpe")).trials[1:]
        for reference in trial.action.liked
    ]
    assert {reference.name for reference in liked} == {r.name for r in REFERENCES[:3]}


# Learning


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("name", LEARNING)
def test_ends_closer_to_the_optimum(name: str, direction: str) -> None:
    space = ActionSpace({"max_weight": Range(0.0, 1.5), "neg_scale": Range(0.0, 1.0)}, roles=False)
    trials, last = {"ax": (8, 3), "cmaes": (48, 8)}.get(name, (24, 8))
    history = replace(start(space, 0), direction=direction)
    history = played(history, trials, make_proposer(name))
    found = [distance(trial.action) for trial in history.trials]
    # Of random points half are below 0.45 and half above.
    if direction == "minimize":
        assert np.median(found[-last:]) < found[0] / 2 == pytest.approx(0.17)
    else:
        assert np.median(found[-last:]) > 1.0


# Ax as it comes


def test_ax_is_feasible_and_the_same_after_a_restart(capfd: pytest.CaptureFixture[str]) -> None:
    domains = {"max_weight": Range(0.05, 2.0, log=True), "denoising_steps": Range(10, 30)}
    history = start(ActionSpace(domains, max_liked=1, max_disliked=1), references=1)
    states = {2: TrialStatus.FAILED, 5: TrialStatus.PROPOSED}
    history = played(history, 6, make_proposer("ax"), lambda i: states.get(i, always(i)))
    assert [trial.source for trial in history.trials] == ["hand"] + ["ax-sobol"] * 5
    history = told(replace(history, pool=REFERENCES[:3]), history.trials[1].action, "x", always(0))
    kept = make_proposer("ax")
    capfd.readouterr()
    proposal = kept.propose(history)
    assert capfd.readouterr() == ("", "")
    assert proposal.source == "ax-mbm"
    assert history.space.contains(proposal.action, history.pool)
    assert make_proposer("ax").propose(history) == proposal


def test_ax_goes_on_where_everything_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    from ax.exceptions.core import SearchSpaceExhausted

    from fabricbo.proposers import ax_stock

    def exhausted(*_: object) -> None:
        raise SearchSpaceExhausted("nothing left")

    monkeypatch.setattr(ax_stock, "_generate", exhausted)
    history = played(start(ActionSpace()), 3, make_proposer("ax"))
    assert [trial.source for trial in history.trials] == ["hand"] + ["sobol-fallback"] * 2


# Guests


@pytest.mark.parametrize("name", LEARNING)
def test_global_random_state_is_neither_touched_nor_used(name: str) -> None:
    history = played(start(ActionSpace()), 4 if name == "ax" else ENOUGH, RandomProposer())
    proposals = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()
        proposals.append(make_proposer(name).propose(history))
        assert random.getstate() == before[0]
        assert all(map(np.array_equal, np.random.get_state(), before[1]))
        assert torch.equal(torch.get_rng_state(), before[2])
    assert proposals[0] == proposals[1]


@pytest.mark.parametrize("name", OPTUNA)
def test_optuna_is_silent_and_its_log_stays_as_it_was(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    history = played(start(MIXED), ENOUGH, RandomProposer())
    verbosity = optuna.logging.get_verbosity()
    make_proposer(name).propose(history)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity


def test_quiet_puts_levels_back_also_after_an_error() -> None:
    logger = logging.getLogger("chatterbox.inner")
    logger.setLevel(logging.INFO)
    with pytest.raises(ValueError, match="broken"), quiet("chatterbox"):
        assert not logger.isEnabledFor(logging.WARNING)
        raise ValueError("broken")
    assert logger.level == logging.INFO
    assert logging.getLogger("chatterbox").level == logging.NOTSET


# Presets


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_settings_and_are_proposed(name: str) -> None:
    assert FabricParams.from_json({**FabricParams().to_json(), **PRESETS[name]})
    history = played(start(ActionSpace()), 2, HandProposer(PRESETS[name]))
    assert history.trials[0].action == history.space.hand_action(history.pool)
    params = history.trials[1].action.params
    assert history.space.contains(history.trials[1].action, history.pool)
    assert (params.max_weight, params.neg_scale) == (PRESETS[name]["max_weight"], 0.5)
    assert params.min_weight == 0.0  # does not vary in the default space


def test_plug_in_preset_is_what_the_hand_settings_are() -> None:
    assert FabricParams.from_json({**FabricParams().to_json(), **PRESETS["webui"]}) == (
        FabricParams()
    )


# In a study


LEAST = {
    "name": "cats",
    "prompt": "a cat",
    "rounds": 2,
    "trials": 2,
    "images": 2,
    "heldout": 2,
    "pool": {"grow_liked": 1},
    "space": {"denoising_steps": 10, "guidance_scale": [1.0, 5.0]},
}


@pytest.fixture
def _fake_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "load_sampler", lambda *_: ColourSampler())


@pytest.mark.usefixtures("_fake_sampler")
@pytest.mark.parametrize("name", ["optuna-tpe", "cmaes", "ax"])
def test_proposers_that_never_hear_people_say_so(name, caplog) -> None:
    with pytest.raises(ProposerError, match="here people judge; choose fabricbo"):
        check_task(name, (), judged=True)
    check_task(name, (Measure("x"),), judged=False)
    assert not caplog.records
    check_task(name, (Measure("x"),), judged=True)
    assert "what people prefer does not guide it" in caplog.text


@pytest.mark.parametrize("name", ["fabricbo", "random", "sobol", "hand"])
def test_proposers_that_hear_people_or_do_not_learn_may_be_judged(name, caplog) -> None:
    check_task(name, (), judged=True)
    check_task(name, (Measure("x"), Measure("y")), judged=True)
    assert not caplog.records


@pytest.mark.parametrize("name", ["optuna-tpe", "cmaes", "sobol"])
def test_study_names_its_proposer(name: str, tmp_path: Path) -> None:
    chosen = {**LEAST, "storage": tmp_path, "proposer": name}
    study = compose.create_study(chosen, objective=redness)
    first = study.ask()
    study.fail(first, "no electricity")
    study.close()
    again = compose.resume_study(study.folder, objective=redness)
    again.run()
    assert again.settings.proposer == name
    assert [trial.source for trial in again.trials] == ["hand"] + [name] * 4
    assert again.best() is not None


@pytest.mark.usefixtures("_fake_sampler")
def test_default_is_ours(tmp_path: Path) -> None:
    study = compose.create_study({**LEAST, "storage": tmp_path}, objective=redness)
    assert study.settings.proposer == "fabricbo"
    assert type(study._needed_parts().proposer).__name__ == "AxProposer"


def test_old_settings_without_the_key_mean_the_default() -> None:
    stored = check_settings(LEAST).model_dump(mode="json")
    del stored["proposer"]
    assert check_settings({**stored, "storage": Path("studies")}).proposer == "fabricbo"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("sobbol", "did you mean sobol"), ("optuna-gp", "pip install")],
    ids=["unknown", "not installed"],
)
def test_proposer_is_checked_before_anything_is_loaded(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(compose, "_checkpoint", lambda *_: pytest.fail("loaded"))
    monkeypatch.setattr(compose, "load_sampler", lambda *_: pytest.fail("loaded"))
    chosen = {**LEAST, "storage": tmp_path, "proposer": name}
    with pytest.raises(SettingsError, match=f"proposer: .*{reason}"):
        compose.create_study(chosen, objective=redness)
    assert not (tmp_path / "cats").exists()
