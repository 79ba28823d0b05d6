"""What is decided depends on the order in which trials finish, and on nothing else."""

import random
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabricbo.executors import InlineExecutor, Report, Tools, Work, perform
from fabricbo.executors.ray_workers import RayExecutor, RayOptions
from fabricbo.proposers import AxProposer
from fabricbo.protocols import History, Proposal
from fabricbo.records import TrialStatus
from fabricbo.study import Parts, Study, runner
from tests.fakes import ColourSampler, fake_study, redness


class Attentive:
    """Proposes something else whenever anything else is known."""

    def propose(self, history: History, /) -> Proposal:
        if not history.trials:
            return Proposal(history.space.hand_action(history.pool), "hand")
        known = [(t.index, t.status.is_pending, t.scores, t.images) for t in history.trials]
        known = [one if not one[1] else one[:2] for one in known]
        rng = random.Random(f"{known} {[reference.id for reference in history.pool]}")
        point = [rng.random() for _ in range(history.space.dimensions(history.pool))]
        return Proposal(history.space.from_unit(point, history.pool), "attentive")


class Shuffled:
    """Does what is submitted in an order of its own, report by report."""

    def __init__(self, tools: Tools, workers: int, ahead: int, seed: int) -> None:
        self._tools, self._workers, self.ahead = tools, workers, ahead
        self._rng = random.Random(seed)
        self._begun: list = []

    @property
    def has_report(self) -> bool:
        return bool(self._begun) and self._rng.random() < 0.5

    @property
    def slots(self) -> int:
        return self._workers + self.ahead

    def submit(self, work: Work, /) -> None:
        self._begun.append(perform(work, self._tools))

    def take(self) -> Report:
        while True:
            one = self._rng.randrange(min(len(self._begun), self._workers))
            report = next(self._begun[one], None)
            if report is not None:
                return report
            del self._begun[one]

    def close(self) -> None:
        self._begun.clear()


def parts_with(proposer, executor=None) -> Parts:
    return Parts(proposer, ColourSampler(), redness, executor=executor)


def run(place: Path, proposer, executor, **more) -> Study:
    """Run a study with an executor, to its end."""
    created = fake_study(place, **more)
    created.close()
    study = Study.open(created.folder, parts_with(proposer, executor))
    study.run()
    return study


def by_hand(study: Study, place: Path, proposer, **more) -> Study:
    """Do what became of a study's trials again, in that order, without any executor."""
    created = fake_study(place, **more)
    created.close()
    again = Study.open(created.folder, parts_with(proposer))
    for event in study.events:
        if event.status is TrialStatus.PROPOSED:
            assert again.ask().index == event.trial
            continue
        trial = again.trials[event.trial]
        if event.status is TrialStatus.RUNNING:
            again.claim(trial)
        elif event.status is TrialStatus.DRAWN:
            images = ColourSampler()(trial.action, "a cat", trial.seeds)
            again.keep_images(trial, images)
        else:
            images = [again.images.load(image) for image in trial.images]
            again.finish(trial, redness(images, "a cat"))
    return again


def decided(study: Study) -> list[tuple]:
    return [(t.action, t.seeds, t.score, t.images, t.source, t.status) for t in study.trials]


GROWING = {"growing": {"grow_liked": 1, "grow_disliked": 1}}


@given(
    workers=st.integers(1, 5),
    ahead=st.integers(0, 9),
    seed=st.integers(0, 2**32),
    grows=st.booleans(),
    in_a_row=st.integers(1, 4),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
def test_in_any_order(workers: int, ahead: int, seed: int, grows: bool, in_a_row: int) -> None:
    more = {"trials": 5, "rounds": 2, **(GROWING if grows else {})}
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(runner, "MOST_IN_A_ROW", in_a_row),
        mock.patch("os.fsync"),  # nothing here is to survive the machine
    ):
        study = run(
            Path(folder) / "run", Attentive(), lambda t: Shuffled(t, workers, ahead, seed), **more
        )
        again = by_hand(study, Path(folder) / "again", Attentive(), **more)
        assert decided(study) == decided(again)
        assert all(trial.status is TrialStatus.DONE for trial in study.trials)
        study.close()
        again.close()


def test_the_order_matters(tmp_path) -> None:
    """Else the other tests would say nothing."""
    found = [
        decided(run(tmp_path / f"{seed}", Attentive(), lambda t, s=seed: Shuffled(t, 3, 1, s)))
        for seed in range(3)
    ]
    assert found[0] != found[1] or found[1] != found[2]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_in_this_process(tmp_path, ahead: int) -> None:
    study = run(tmp_path / "run", Attentive(), lambda tools: InlineExecutor(tools, ahead))
    assert decided(study) == decided(by_hand(study, tmp_path / "again", Attentive()))


class Unsteady(ColourSampler):
    """Takes its time, which depends on the action."""

    def __call__(self, action, prompt, seeds):
        time.sleep(random.Random(f"{action}").uniform(0, 0.3))
        return super().__call__(action, prompt, seeds)


def unsteady_tools() -> Tools:
    return Tools(Unsteady(), {"redness": redness})


def test_on_ray(tmp_path) -> None:
    executor = RayExecutor(unsteady_tools, RayOptions(workers=3, cpus=0.25, ahead=2))
    study = run(tmp_path / "run", Attentive(), lambda _tools: executor, trials=12, rounds=1)
    again = by_hand(study, tmp_path / "again", Attentive(), trials=12, rounds=1)
    assert decided(study) == decided(again)
    ended = [event.trial for event in study.events if event.status is TrialStatus.DONE]
    assert sorted(ended) == list(range(13))
    study.close()


def test_with_the_surrogate(tmp_path) -> None:
    """The fit that it keeps between suggestions changes nothing, nor does the proposer's past."""
    shuffled = partial(Shuffled, workers=4, ahead=5, seed=3)
    study = run(tmp_path / "run", AxProposer(initial_trials=2), shuffled, trials=14, rounds=1)
    again = by_hand(study, tmp_path / "again", Forgetful(), trials=14, rounds=1)
    assert decided(study) == decided(again)
    assert sum(trial.source == "bo" for trial in study.trials) >= 5


class Forgetful:
    """The surrogate, made anew for every suggestion."""

    def propose(self, history: History, /) -> Proposal:
        return AxProposer(initial_trials=2).propose(history)
