"""Drawing and choosing questions while people rate: they should never wait for a machine.

The worker keeps some rounds of questions ready (`rating.ahead`). What nobody has been asked yet is
chosen anew whenever somebody has voted, so that questions know as much as they can.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fabricbo.rating.progress import Progress, judgements, progress, unanswered
from fabricbo.rating.questions import at_once, is_planned, per_round, plan, planned
from fabricbo.records import Trial
from fabricbo.study import Study
from fabricbo.study.failures import FailuresInARow

POLL = 0.5
"""Seconds between two looks at the votes."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the worker has done."""

    what: Literal["drawn", "asked", "waiting", "done"]
    progress: Progress
    trial: Trial | None = None


class Worker:
    """Works for one study until all its questions are answered."""

    def __init__(self, study: Study, on_event: Callable[[Event], None] | None = None) -> None:
        """Take a study that was opened with its parts."""
        self._study = study
        self._tell = on_event or (lambda _event: None)
        self._known: int | None = None
        self._assessed = 0
        self._failures = FailuresInARow(study.folder)

    def run(self, pause: Callable[[float], bool], stop: Callable[[], bool] | None = None) -> None:
        """Draw and ask until everything is answered, or the owner has stopped it.

        Args:
            pause: waits so many seconds, and tells whether to leave off.
            stop: asked before each trial whether to leave off.

        Raises:
            RepeatedFailureError: three trials in a row failed; everything is kept.
            StudyInUseError: another process draws for it.
        """
        with self._study.driving():
            self._run(pause, stop or (lambda: False))

    def _run(self, pause: Callable[[float], bool], stop: Callable[[], bool]) -> None:
        told = False
        while not self.finished:
            if stop():
                return
            if self.step():
                told = False
                continue
            if self._stuck:
                break
            if self._assess():
                continue
            if not told:
                self._event("waiting")
                told = True
            if pause(POLL):
                return
        self._study.assess()
        self._event("done")

    @property
    def finished(self) -> bool:
        """Whether nothing is left to ask, or the owner has stopped it."""
        ballots = self._study.ballots
        return ballots.state == "stopped" or progress(ballots, self._study.settings).done

    def _assess(self) -> bool:
        """While nothing else is to be done, have the owner's page say what the votes come to."""
        revision = self._study.ballots.revision
        if revision == self._assessed or not self._study.preferences:
            return False
        self._study.assess()
        self._assessed = revision
        return True

    @property
    def _stuck(self) -> bool:
        """Whether nothing waits, and nothing more can be asked: too few trials were drawn."""
        ballots = self._study.ballots
        found = progress(ballots, self._study.settings)
        return ballots.state == "open" and found.waiting == 0 and not found.done

    def step(self) -> bool:
        """Do one thing that helps, and tell whether there was one."""
        study, ballots = self._study, self._study.ballots
        if ballots.state != "open":
            return False
        settings, revision = study.settings, ballots.revision
        stale = ballots.unasked() if self._known not in (revision, None) else set()
        self._known = revision
        asked = [q for q in ballots.questions() if is_planned(q) and q.id not in stale]
        waiting = unanswered(asked, ballots.standing(), judgements(settings))
        wanted = min(self._ahead - len(waiting), planned(settings) - len(asked))
        if wanted > 0 and self._may_ask(len(asked)):
            made = plan(study, wanted, asked, waiting)
            if made:
                ballots.replace_unasked(stale, made) if stale else ballots.add_questions(made)
                self._event("asked")
                return True
        return self._draw(len(asked) + max(wanted, 0))

    @property
    def _ahead(self) -> int:
        rating = self._study.settings.rating
        return per_round(self._study.settings) * (1 if rating is None else rating.ahead)

    def _may_ask(self, asked: int) -> bool:
        """Ask once the trials are drawn that belong to a question."""
        return len(self._study.trials) >= self._trials_for(asked + 1)

    def _trials_for(self, questions: int) -> int:
        """Return how many trials are drawn before so many questions are asked.

        As many more with each question as there are trials to a question: the later a trial is
        drawn, the more answers its settings know.
        """
        settings, most = self._study.settings, self._study.planned_trials
        first = max(most - settings.rounds * settings.trials, 0)  # the hand settings, on top
        trials = first - (-questions * settings.trials // per_round(settings))
        return min(max(trials, at_once(settings)), most)

    def _draw(self, questions: int) -> bool:
        """Draw the next trial, if these questions need it."""
        study = self._study
        drawn = [t for t in study.trials if not t.status.is_pending]
        if len(drawn) >= self._trials_for(questions):
            return False
        trial = study.draw()
        if trial is None:
            return False
        self._event("drawn", trial)
        self._failures.note(trial)
        return True

    def _event(
        self, what: Literal["drawn", "asked", "waiting", "done"], trial: Trial | None = None
    ) -> None:
        found = progress(self._study.ballots, self._study.settings)
        self._tell(Event(what, found, trial))
