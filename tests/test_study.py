"""Studies: what is asked, told, kept and decided."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa
from PIL import Image

from fabricbo.assessment import Advice, Assessment, Estimate
from fabricbo.protocols import History
from fabricbo.records import Role, TrialStatus
from fabricbo.scores import Score
from fabricbo.scoring import objective
from fabricbo.space import MAX_POOL
from fabricbo.study import (
    NameInUseError,
    NewerStoreError,
    NotAStudyError,
    Parts,
    RepeatedFailureError,
    Study,
    StudyCompleteError,
    TrialStateError,
)
from fabricbo.study.rounds import heldout_seeds
from tests.fakes import POOL, ColourSampler, UnitProposer, fake_study, redness
from tests.stores import sqlite_only

pytestmark = pytest.mark.usefixtures("store_kind")  # on SQLite and on PostgreSQL

PARTS = Parts(UnitProposer(), ColourSampler(), redness)


def test_run_does_all_that_is_planned(tmp_path) -> None:
    study = fake_study(tmp_path)
    seen = []
    best = study.run(lambda trial: seen.append(trial.index))
    assert seen == list(range(7))
    assert [trial.round for trial in study.trials] == [1, 1, 1, 1, 2, 2, 2]
    assert study.trials[0].action == study.space.hand_action(POOL)
    assert study.trials[0].source == "hand"
    assert best == max(study.trials, key=lambda trial: trial.score.mean)
    assert all(trial.seconds >= 0 for trial in study.trials)


def test_trials_of_a_round_share_seeds_and_rounds_do_not(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.run()
    by_round = {r: {t.seeds for t in study.trials if t.round == r} for r in (1, 2)}
    assert len(by_round[1]) == len(by_round[2]) == 1
    assert not set(*by_round[1]) & set(*by_round[2])


def test_same_settings_same_study(tmp_path) -> None:
    studies = [fake_study(tmp_path / name) for name in "ab"]
    for study in studies:
        study.run()
    first, second = ([(t.action, t.seeds, t.score) for t in s.trials] for s in studies)
    assert first == second


def test_reopened_study_is_the_same(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.run()
    trials, rounds, settings = study.trials, study.rounds, study.settings
    study.close()
    again = Study.open(tmp_path / "fake")
    assert (again.trials, again.rounds, again.settings) == (trials, rounds, settings)
    assert [r.name for r in again.rounds[0].pool] == ["red", "green", "blue"]
    assert again.best() == study.best()
    image = again.images.load(trials[0].images[0])
    assert redness([image], "")[0] == trials[0].score.values[0]


def test_pool_grows_by_best_and_worst(tmp_path) -> None:
    grown = fake_study(tmp_path, rounds=3, growing={"grow_liked": 1, "grow_disliked": 1})
    grown.run()
    first = [t for t in grown.trials if t.round == 1]
    scored = [pair for t in first for pair in zip(t.score.values, t.images, strict=True)]
    pool = grown.rounds[1].pool
    assert pool[:3] == POOL
    assert pool[3].id == max(scored)[1]
    assert pool[4].id == min(scored)[1]
    assert [r.hand_role for r in pool[3:]] == [Role.LIKED, Role.DISLIKED]
    assert len(grown.rounds[2].pool) >= 5
    assert len(grown.rounds[2].pool) <= MAX_POOL
    # Earlier trials count as not using what joined later.
    assert first[0].action.role(pool[3]) is Role.UNUSED


def test_minimize_turns_the_choice_round(tmp_path) -> None:
    study = fake_study(
        tmp_path, objective=objective(direction="minimize")(lambda i, p: redness(i, p))
    )
    study.run()
    assert study.direction == "minimize"
    assert study.best().score.mean == min(t.score.mean for t in study.trials)


def test_batch_objective_gives_one_number(tmp_path) -> None:
    @objective(per="batch")
    def spread(images, prompt):
        values = redness(images, prompt)
        return [max(values) - min(values)]

    study = fake_study(tmp_path, objective=spread, pool=POOL)
    study.run()
    assert all(len(t.score.values) == 1 and t.score.standard_error is None for t in study.trials)


# Ask and tell


def test_ask_tell_by_hand(tmp_path) -> None:
    study = fake_study(tmp_path)
    trial = study.ask()
    assert study.trials == [trial]
    assert trial.status is TrialStatus.PROPOSED
    study.tell(trial, [Image.new("RGB", (4, 4))] * 2, [1.0, 3.0])
    assert study.trials[0].score == Score((1.0, 3.0))
    with pytest.raises(TrialStateError, match="not pending"):
        study.tell(trial, [Image.new("RGB", (4, 4))] * 2, [9.0, 9.0])
    with pytest.raises(TrialStateError):
        study.fail(trial, "too late")
    assert study.trials[0].score == Score((1.0, 3.0))


@pytest.mark.parametrize("scores", [[1.0, 2.0, 3.0], [], [float("nan"), 1.0]])
def test_tell_refuses_what_is_no_score(tmp_path, scores) -> None:
    study = fake_study(tmp_path)
    trial = study.ask()
    with pytest.raises(ValueError):
        study.tell(trial, [Image.new("RGB", (4, 4))] * 2, scores)
    assert study.trials[0].status is TrialStatus.PROPOSED


def test_several_pending_trials_and_a_full_round(tmp_path) -> None:
    study = fake_study(tmp_path, growing={"grow_liked": 1})
    trials = [study.ask() for _ in range(4)]
    with pytest.raises(StudyCompleteError, match="pending"):
        study.ask()
    for trial in reversed(trials):
        study.fail(trial, "not drawn")
    assert study.ask().round == 2


def test_rounds_that_learn_nothing_from_each_other_wait_for_nobody(tmp_path) -> None:
    study = fake_study(tmp_path)
    trials = [study.ask() for _ in range(7)]
    assert [trial.round for trial in trials] == [1, 1, 1, 1, 2, 2, 2]
    with pytest.raises(StudyCompleteError, match="all 7"):
        study.ask()


def test_asking_needs_parts(tmp_path) -> None:
    fake_study(tmp_path).close()
    with pytest.raises(ValueError, match="parts"):
        Study.open(tmp_path / "fake").ask()


def test_asking_beyond_the_plan(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.run()
    with pytest.raises(StudyCompleteError, match="planned"):
        study.ask()


# Failures


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (lambda images: [1.0], "2 numbers"),
        (lambda images: [float("nan")] * 2, "finite"),
        (lambda images: [float("inf")] * 2, "finite"),
        (lambda images: 1 / 0, "ZeroDivisionError"),
        (lambda images: "ab", "could not convert"),
        (lambda images: None, "TypeError"),
    ],
    ids=["count", "nan", "inf", "raises", "no numbers", "none"],
)
def test_bad_objective_fails_trials_and_stops_after_three(tmp_path, returned, reason) -> None:
    study = fake_study(tmp_path, objective=lambda images, prompt: returned(images))
    with pytest.raises(RepeatedFailureError, match=reason):
        study.run()
    assert [t.status for t in study.trials] == [TrialStatus.FAILED] * 3
    assert all(reason in t.reason for t in study.trials)
    assert study.best() is None
    assert study.hold_out() is None


def test_single_failures_do_not_stop_a_study(tmp_path) -> None:
    calls = iter(range(100))

    def flaky(images, prompt):
        if next(calls) % 2:
            raise RuntimeError("now and then")
        return redness(images, prompt)

    study = fake_study(tmp_path, objective=flaky)
    study.run()
    states = [trial.status for trial in study.trials]
    assert states == [TrialStatus.DONE, TrialStatus.FAILED] * 3 + [TrialStatus.DONE]


def test_sampler_out_of_memory_fails_the_trial(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.close()

    class Hungry(ColourSampler):
        def __call__(self, action, prompt, seeds):
            raise RuntimeError("CUDA out of memory")

    again = Study.open(tmp_path / "fake", Parts(UnitProposer(), Hungry(), redness))
    with pytest.raises(RepeatedFailureError, match="out of memory"):
        again.run()


def test_ctrl_c_leaves_the_trial_pending_and_it_is_drawn_first(tmp_path) -> None:
    study = fake_study(tmp_path)

    def interrupted(images, prompt):
        raise KeyboardInterrupt

    study.close()
    stopped = Study.open(tmp_path / "fake", Parts(UnitProposer(), ColourSampler(), interrupted))
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    pending = stopped.trials
    assert [t.status for t in pending] == [TrialStatus.DRAWN]
    again = Study.open(tmp_path / "fake", PARTS)
    again.run()
    assert again.trials[0].action == pending[0].action
    assert len(again.trials) == 7
    assert all(t.status is TrialStatus.DONE for t in again.trials)


RUNNER = """
import sys, time
from pathlib import Path
from fabricbo.study import Parts, Study
from tests.fakes import ColourSampler, UnitProposer, redness

class Slow(ColourSampler):
    def __call__(self, *call):
        time.sleep(0.01)
        return super().__call__(*call)

study = Study.open(Path(sys.argv[1]), Parts(UnitProposer(), Slow(), redness))
print("ready", flush=True)
study.run()
"""


def test_killed_again_and_again_loses_nothing(tmp_path) -> None:
    quiet = fake_study(tmp_path / "quiet", trials=20)
    quiet.run()
    fake_study(tmp_path / "killed", trials=20).close()
    folder = tmp_path / "killed" / "fake"
    done: dict[int, object] = {}
    for attempt in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.04 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        now = {t.index: t for t in Study.open(folder).trials if t.status is TrialStatus.DONE}
        assert {i: now[i] for i in done} == done  # what was kept is kept
        assert sum(t.status is TrialStatus.PROPOSED for t in Study.open(folder).trials) <= 1
        done = now
    study = Study.open(folder, PARTS)
    study.run()
    assert [(t.action, t.seeds, t.score, t.images) for t in study.trials] == [
        (t.action, t.seeds, t.score, t.images) for t in quiet.trials
    ]


# Held-out seeds


def test_held_out_seeds_are_new_and_pairs_are_compared(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.run()
    result = study.hold_out()
    assert len(result.first.baseline.values) == len(result.first.best.values) == 6
    seen = {seed for trial in study.trials for seed in trial.seeds}
    assert not seen & set(heldout_seeds(0, rounds=2, images=2, count=6))
    differences = result.first.difference.values
    assert differences == pytest.approx(
        [b - a for a, b in zip(result.first.baseline.values, result.first.best.values, strict=True)]
    )
    # The same seeds: what the seed adds to the score cancels.
    assert result.first.difference.standard_error == pytest.approx(0, abs=1e-9)
    assert Study.open(study.folder).heldout == result


# The best is the one expected to be the best


class Doubter(UnitProposer):
    """Proposes as the fake one does, and expects most of the trial it is told."""

    def __init__(self, best: int) -> None:
        self.chosen = best

    def assess(self, history: History, /) -> Assessment:
        done = [trial.index for trial in history.trials if trial.score is not None]
        estimates = {i: (Estimate(1.0 if i == self.chosen else 0.0, 0.25),) for i in done}
        return Assessment(estimates, Advice(0.8, 0.1, 0.05) if len(history.trials) > 2 else None)


def doubted(tmp_path: Path, best: int) -> Study:
    made = fake_study(tmp_path)
    made.close()
    return Study.open(made.folder, Parts(Doubter(best), ColourSampler(), redness))


def test_the_only_objective_may_have_another_name_when_a_study_is_resumed(tmp_path) -> None:
    study = fake_study(tmp_path)
    study.draw()
    study.close()
    parts = Parts(UnitProposer(), ColourSampler(), lambda images, prompt: redness(images, prompt))
    again = Study.open(study.folder, parts)
    again.run()
    assert {trial.status for trial in again.trials} == {TrialStatus.DONE}
    assert again.hold_out().first.measure.name == "redness"


def turned(images, prompt):
    return redness(images, prompt)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"redness": redness, "more": redness}, "scored by redness .*, got redness .*, more"),
        (objective(direction="minimize")(turned), r"redness \(maximize\), got turned \(minimize\)"),
        (None, "got nothing"),
    ],
    ids=["one more", "other direction", "none"],
)
def test_objectives_that_a_study_does_not_measure_are_refused_before_drawing(
    tmp_path, given, message
) -> None:
    study = fake_study(tmp_path)
    study.close()
    with pytest.raises(ValueError, match=message):
        Study.open(study.folder, Parts(UnitProposer(), ColourSampler(), given))
    assert Study.open(study.folder).trials == []


def test_best_is_by_estimates_once_all_trials_are_done(tmp_path) -> None:
    study = doubted(tmp_path, 2)
    trial = study.ask()
    study.tell(trial, [Image.new("RGB", (8, 8))] * 2, [1e6, 1e6])
    assert study.best().index == trial.index
    assert study.run().index == 2
    assert study.hold_out() == Study.open(study.folder).heldout
    assert Study.open(study.folder).best().index == 2
    assert Study.open(study.folder).assessment.estimates[2] == (Estimate(1.0, 0.25),)
    assert Study.open(study.folder).assessment.advice == Advice(0.8, 0.1, 0.05)


def test_estimates_that_lack_a_trial_do_not_count(tmp_path) -> None:
    study = doubted(tmp_path, 2)
    study.run()
    whole = study.assessment
    lacking = {index: found for index, found in whole.estimates.items() if index != 1}
    study._store.put_assessment(Assessment(lacking, whole.advice), 0)
    assert study.assessment == Assessment()
    scores = [trial.score.mean for trial in study.trials]
    assert study.best().index == scores.index(max(scores))


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_seconds_that_nothing_takes_are_refused(tmp_path, seconds) -> None:
    study = fake_study(tmp_path)
    trial = study.ask()
    with pytest.raises(ValueError, match="seconds must be finite"):
        study.tell(trial, [Image.new("RGB", (4, 4))] * 2, [1.0, 2.0], seconds=seconds)
    assert study.trials[0].status is TrialStatus.PROPOSED


# Places and versions


def test_name_in_use(tmp_path) -> None:
    fake_study(tmp_path)
    with pytest.raises(NameInUseError, match="fake"):
        fake_study(tmp_path)


@sqlite_only
def test_no_study(tmp_path) -> None:
    with pytest.raises(NotAStudyError, match="no study"):
        Study.open(tmp_path)
    (tmp_path / "study.db").write_text("not a database, but long enough to look at" * 50)
    with pytest.raises(NotAStudyError, match="no store"):
        Study.open(tmp_path)


@sqlite_only
def test_newer_store(tmp_path) -> None:
    fake_study(tmp_path).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'fake' / 'study.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE study SET schema_version = 99")
    engine.dispose()
    with pytest.raises(NewerStoreError, match="update fabricbo"):
        Study.open(tmp_path / "fake")


@sqlite_only
def test_store_is_durable_sqlite(tmp_path) -> None:
    study = fake_study(tmp_path)
    with study._database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    study.close()
    assert sqlite3.connect(Path(study.folder) / "study.db").execute("PRAGMA integrity_check")


@sqlite_only
def test_a_study_half_made_does_not_take_the_name(tmp_path) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "study.part").write_text("left by a killed process")
    study = fake_study(tmp_path)
    study.run()
    assert len(study.trials) == 7


def test_study_without_references_makes_its_own_folder(tmp_path: Path) -> None:
    study = fake_study(tmp_path / "new" / "studies", pool=(), growing={"grow_liked": 1})
    assert study.rounds[0].pool == ()
    assert study.ask().index == 0


def test_first_round_without_references_has_the_hand_settings_only(tmp_path: Path) -> None:
    """All other actions would draw the very same images."""
    study = fake_study(tmp_path, pool=(), growing={"grow_liked": 1})
    study.run()
    assert [trial.round for trial in study.trials] == [1, 2, 2, 2]
    assert study.planned_trials == 4
    assert len(study.rounds[1].pool) == 1


def test_first_round_without_references_is_whole_where_guidance_varies(tmp_path: Path) -> None:
    study = fake_study(tmp_path, pool=(), space={"guidance_scale": [1.0, 9.0]})
    study.run()
    assert len(study.trials) == study.planned_trials == 7


# What trials were drawn with


class DescribedSampler(ColourSampler):
    environment: ClassVar = {"weights": "abc", "packages": {"torch": "2.13"}}


def test_what_a_trial_was_drawn_with_is_kept_where_the_sampler_says_it(tmp_path) -> None:
    settings = fake_study(tmp_path).settings
    parts = Parts(UnitProposer(), DescribedSampler(), redness)
    study = Study.open(settings.folder, parts)
    first = study.draw()
    told = study.ask()
    study.tell(told, [Image.new("RGB", (4, 4))] * 2, [1.0, 2.0])
    again = Study.open(settings.folder)
    assert again.drawn_with(first) == DescribedSampler.environment
    assert again.drawn_with(told) is None  # whoever told it did not say
