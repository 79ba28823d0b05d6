"""One rater at one study: what is asked now, answers with their time, taking back."""

import getpass
import secrets
import time
from collections.abc import Callable

from fabricbo.rating.assignment import next_task
from fabricbo.rating.progress import Progress, progress
from fabricbo.study import Study
from fabricbo.study.ballots import Ballots, RatingState
from fabricbo.votes import UNDO, Task

LONGEST = 3600.0
"""Seconds that somebody is credited with at most for one answer."""
LONGEST_NAME = 100


class Sitting:
    """A rater who sits here, at a terminal or a notebook; every vote is kept at once."""

    def __init__(
        self, study: Study, rater: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin, or go on where this rater stopped."""
        self.study = study
        self.task: Task | None = None
        """What is asked now."""
        self._ballots = study.ballots
        self._rater = rater
        self._clock = clock
        self._shown: float | None = None

    def next(self) -> Task | None:
        """Return what is asked now; None where nothing needs this rater."""
        self.task = next_task(self._ballots, self.study.settings, self._rater)
        self._shown = None
        return self.task

    def shown(self) -> None:
        """Begin to measure: all images can be seen."""
        self._shown = self._clock()

    def answer(self, answer: str) -> None:
        """Answer what is asked now.

        Raises:
            ValueError: nothing is, or this is no answer to it.
        """
        if self.task is None:
            raise ValueError("nothing is asked at the moment")
        spent = None if self._shown is None else min(self._clock() - self._shown, LONGEST)
        self._ballots.vote(self.task, answer, secrets.token_urlsafe(16), spent)

    def undo(self) -> bool:
        """Take the last answer back, so that it is asked again; tell whether there was one."""
        last = self._ballots.last_answered(self._rater)
        if last is None:
            return False
        self._ballots.vote(last, UNDO, secrets.token_urlsafe(16))
        return True

    @property
    def given(self) -> int:
        """How many answers of this rater stand."""
        return len(self._ballots.standing(self._rater))

    @property
    def progress(self) -> Progress:
        """How far all raters are together."""
        return progress(self._ballots, self.study.settings)

    @property
    def state(self) -> RatingState:
        """Whether raters are asked at all."""
        return self._ballots.state

    @property
    def finished(self) -> bool:
        """Whether nothing more will be asked of anybody."""
        return self.state == "stopped" or self.progress.done


def known_rater(study: Study, name: str) -> int | None:
    """Return who rates by this name; None for somebody new.

    Raises:
        ValueError: nobody judges this study, this is no name, or several have it.
    """
    if study.settings.rating is None:
        raise ValueError(
            f"{study.settings.name} has no [rating]: nobody is to judge it; add [rating] to its "
            "study file, and run that under another name"
        )
    if not name.strip() or len(name) > LONGEST_NAME:
        raise ValueError(f"a rater's name has 1 to {LONGEST_NAME} characters, got {name[:120]!r}")
    found = study.ballots.raters_named(name.strip())
    if len(found) > 1:
        raise ValueError(f"{len(found)} raters are called {name.strip()!r}; take another name")
    return found[0].id if found else None


def new_rater(ballots: Ballots, name: str) -> int:
    """Add somebody who rates on this machine, and needs no link for it."""
    found = ballots.by_token(ballots.add_rater(name.strip()))
    if found is None:
        raise RuntimeError("the rater that was just added is not there")
    return found[0]


def logged_in() -> str:
    """Return the name of who is logged in.

    Raises:
        ValueError: the system does not know.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # a container without users
        raise ValueError("who rates? Give a name") from error
