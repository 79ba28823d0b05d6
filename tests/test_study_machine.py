"""Any order of asking, claiming, telling, judging, crashing and reopening, against a model.

2,000 sequences with `make test-slow`, a few otherwise.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from PIL import Image

from fabricbo.records import Trial, TrialStatus
from fabricbo.scores import Preference, Score
from fabricbo.study import Parts, Study, StudyCompleteError, TrialStateError
from tests.fakes import ColourSampler, UnitProposer, fake_study, redness

PARTS = Parts(UnitProposer(), ColourSampler(), redness)
PENDING = {TrialStatus.PROPOSED, TrialStatus.RUNNING, TrialStatus.DRAWN}
OPEN = {*PENDING, TrialStatus.AWAITING_RATING}


@dataclass(frozen=True)
class Known:
    """What the model knows of a trial."""

    action: object
    status: TrialStatus = TrialStatus.PROPOSED
    attempt: int = 0
    score: Score | None = None
    images: tuple[str, ...] = ()
    reason: str | None = None


@dataclass
class Model:
    """What the study ought to be."""

    trials: list[Known] = field(default_factory=list)
    preferences: list[Preference] = field(default_factory=list)
    events: list[tuple[int, int, str]] = field(default_factory=list)

    def change(self, index: int, **what: object) -> None:
        self.trials[index] = replace(self.trials[index], **what)
        now = self.trials[index]
        self.events.append((index, now.attempt, str(now.status)))

    def is_judged(self, index: int) -> bool:
        return any(index in (one.better, one.worse) for one in self.preferences)


def picture(red: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (red, 0, 0))


class Machine(RuleBasedStateMachine):
    """Handles of trials are kept from any time, so that stale ones are used, too."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="fabricbo-machine-"))
        self.study = fake_study(self.place, rounds=2, trials=3)
        self.model = Model()

    def teardown(self) -> None:
        self.study.close()
        shutil.rmtree(self.place)

    @rule(target=handles)
    def ask(self) -> Trial | None:
        if len(self.model.trials) == 7:
            with pytest.raises(StudyCompleteError):
                self.study.ask()
            return None
        trial = self.study.ask()
        assert trial.index == len(self.model.trials)
        self.model.trials.append(Known(trial.action))
        self.model.change(trial.index)
        return trial

    def allowed(self, trial: Trial | None, statuses: set[TrialStatus]) -> bool:
        if trial is None:
            return False
        now = self.model.trials[trial.index]
        return now.attempt == trial.attempt and now.status in statuses

    @rule(target=handles, trial=handles)
    def claim(self, trial: Trial | None) -> Trial | None:
        if trial is None:
            return None
        if not self.allowed(trial, PENDING):
            with pytest.raises(TrialStateError):
                self.study.claim(trial)
            return None
        claimed = self.study.claim(trial)
        now = self.model.trials[trial.index]
        assert claimed.attempt == now.attempt + 1
        self.model.change(trial.index, status=TrialStatus.RUNNING, attempt=now.attempt + 1)
        return claimed

    @rule(trial=handles, red=st.integers(0, 3))
    def keep_images(self, trial: Trial | None, red: int) -> None:
        if trial is None or self.model.is_judged(trial.index):
            return
        pictures = [picture(red), picture(red + 10)]
        if not self.allowed(trial, PENDING):
            with pytest.raises(TrialStateError):
                self.study.keep_images(trial, pictures)
            return
        self.study.keep_images(trial, pictures)
        images = tuple(self.study.images.save(one) for one in pictures)
        self.model.change(trial.index, status=TrialStatus.DRAWN, images=images)

    @rule(trial=handles, red=st.integers(0, 3), judged=st.booleans())
    def tell(self, trial: Trial | None, red: int, judged: bool) -> None:
        if trial is None or self.model.is_judged(trial.index):
            return
        pictures = [picture(red), picture(red + 20)]
        values = None if judged else redness(pictures, "")
        if not self.allowed(trial, OPEN):
            with pytest.raises(TrialStateError):
                self.study.tell(trial, pictures, values)
            return
        self.study.tell(trial, pictures, values)
        images = tuple(self.study.images.save(one) for one in pictures)
        if values is None:
            self.model.change(trial.index, status=TrialStatus.AWAITING_RATING, images=images)
        else:
            score = Score(tuple(values))
            self.model.change(trial.index, status=TrialStatus.DONE, images=images, score=score)

    @rule(trial=handles)
    def finish(self, trial: Trial | None) -> None:
        if trial is None or not self.model.trials[trial.index].images:
            return
        if not self.allowed(trial, OPEN):
            with pytest.raises(TrialStateError):
                self.study.finish(trial, [1.0, 2.0])
            return
        self.study.finish(trial, [1.0, 2.0])
        self.model.change(trial.index, status=TrialStatus.DONE, score=Score((1.0, 2.0)))

    @rule(trial=handles, give_up=st.booleans())
    def lose(self, trial: Trial | None, give_up: bool) -> None:
        if trial is None:
            return
        lose = self.study.abandon if give_up else self.study.fail
        if not self.allowed(trial, OPEN):
            with pytest.raises(TrialStateError):
                lose(trial, "why not")
            return
        lose(trial, "why not")
        status = TrialStatus.ABANDONED if give_up else TrialStatus.FAILED
        self.model.change(trial.index, status=status, reason="why not")

    @rule(one=st.integers(0, 6), other=st.integers(0, 6), tie=st.booleans())
    def judge(self, one: int, other: int, tie: bool) -> None:
        known = self.model.trials
        if one == other or max(one, other) >= len(known):
            return
        trials = self.study.trials
        say = self.study.tie if tie else self.study.prefer
        if not (known[one].images and known[other].images):
            with pytest.raises(ValueError, match="no such images"):
                say(trials[one], trials[other])
            return
        say(trials[one], trials[other])
        self.model.preferences.append(Preference(one, other, tie))

    @rule(clean=st.booleans())
    def reopen(self, clean: bool) -> None:
        if clean:
            self.study.close()
        # Otherwise it is left as a killed process leaves it: nothing is given back.
        self.study = Study.open(self.place / "fake", PARTS)

    @invariant()
    def study_is_the_model(self) -> None:
        found = [
            Known(t.action, t.status, t.attempt, t.score, t.images, t.reason)
            for t in self.study.trials
        ]
        assert found == self.model.trials
        assert self.study.preferences == self.model.preferences
        happened = [(e.trial, e.attempt, str(e.status)) for e in self.study.events]
        assert happened == self.model.events


def checked(examples: int) -> type:
    class Case(Machine.TestCase):
        settings = settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )

    return Case


TestMachine = checked(20)
# In two halves, so that two processes share them.
LONG = int(os.environ.get("FABRICBO_SEQUENCES", "2000")) // 2
TestMachineLong = pytest.mark.slow(pytest.mark.timeout(3000)(checked(LONG)))
TestMachineLonger = pytest.mark.slow(pytest.mark.timeout(3000)(checked(LONG)))
