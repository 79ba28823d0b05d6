"""Telling loggers what becomes of a study: none of them can hold it up, end it, or lose anything.

Each has a thread of its own. What one has taken in is noted in a file of the study's folder, line
by line, so that a study that is resumed goes on where that logger was.
"""

import atexit
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from fabricbo.best import best
from fabricbo.events import (
    About,
    Comparison,
    HeldOut,
    RoundOver,
    StudyBegun,
    StudyEnded,
    StudyEvent,
    TrialOver,
)
from fabricbo.protocols import Logger
from fabricbo.records import Trial, TrialStatus
from fabricbo.study.channel import Channel
from fabricbo.study.heldout import Heldout
from fabricbo.study.images import ImageStore
from fabricbo.study.measures import measured

if TYPE_CHECKING:
    from PIL.Image import Image

    from fabricbo.study.study import Study

_TOLD = tuple(status for status in TrialStatus if not status.is_pending)
_log = logging.getLogger(__name__)


class Logbook:
    """Tells the loggers of one study, in one process."""

    def __init__(self, study: "Study", loggers: Mapping[str, Logger]) -> None:
        """Take them; nothing is told before `begin`."""
        self._study = study
        folder = study.folder / "logged"
        self._channels = [Channel(name, one, folder) for name, one in loggers.items()]
        self._best: Trial | None = None
        self._begun = False

    def begin(self) -> None:
        """Say that the study begins, and what those do not know yet that were told before."""
        if self._begun or not self._channels:
            return
        self._begun = True
        atexit.register(self.close)  # of whoever does not close the study
        study, about = self._study, self._about
        over = {event.trial: event.created for event in study.events if event.status in _TOLD}
        self._tell("", StudyBegun(about, datetime.now(UTC), resumed=bool(over)))
        trials = study.trials
        for index, time in sorted(over.items(), key=lambda item: item[1]):
            if not trials[index].status.is_pending:
                self._tell_trial(trials[index], trials, time)
        self.held_out()

    def over(self, index: int) -> None:
        """Say that a trial is over."""
        if self._channels:
            self.begin()
            trials = self._study.trials
            self._tell_trial(trials[index], trials, datetime.now(UTC))

    def held_out(self) -> None:
        """Say how the comparison at the end went, if there is one."""
        if not self._channels or (found := self._study.heldout) is None:
            return
        best_trial = self._study.best()
        if best_trial is not None:
            about, images = self._about, self._study.images
            make = partial(_held_out, about, datetime.now(UTC), best_trial.index, found, images)
            self._put(f"held out, trial {best_trial.index}", make)

    def close(self, patience: float = 10.0) -> None:
        """Say that the study ends here, and wait until that is taken in.

        Args:
            patience: seconds to wait; whoever is slower is told the rest next time.
        """
        if not self._begun:
            return
        self._begun = False
        atexit.unregister(self.close)
        study = self._study
        left = study.planned_trials - sum(not one.status.is_pending for one in study.trials)
        self._tell("", StudyEnded(self._about, datetime.now(UTC), complete=left <= 0))
        for channel in self._channels:
            channel.close(patience)

    @property
    def _about(self) -> About:
        study = self._study
        settings, created = study.settings, study.created.isoformat()
        return About(
            name=settings.name,
            id=sha256(f"{settings.name} {created}".encode()).hexdigest()[:16],
            folder=study.folder.absolute(),
            settings=settings.model_dump(mode="json"),
            measures=measured(study.measures),
            planned=study.planned_trials,
        )

    def _tell_trial(self, trial: Trial, trials: Sequence[Trial], time: datetime) -> None:
        if trial.scores:
            # Of three at most: to compare all of them each time would take ever longer.
            known = {one.index: one for one in (trials[0], self._best, trial) if one is not None}
            scored = [one for one in known.values() if one.scores]
            self._best = best(scored, self._study.measures, {})
        about, images = self._about, self._study.images
        key = f"trial {trial.index} {trial.status}"
        self._put(key, partial(_trial_over, about, time, trial, images, self._best))
        here = [one for one in trials if one.round == trial.round]
        opened = self._study.rounds[trial.round - 1]
        whole = len(here) >= self._study.planned_in(opened)
        if whole and not any(one.status.is_pending for one in here):
            event = RoundOver(about, time, trial.round, len(opened.pool), self._best)
            self._tell(f"round {trial.round}", event)

    def _tell(self, key: str, event: StudyEvent) -> None:
        self._put(key, lambda: event)

    def _put(self, key: str, make: Callable[[], StudyEvent]) -> None:
        for channel in self._channels:
            channel.put(key, make)


def _trial_over(
    about: About, time: datetime, trial: Trial, store: ImageStore, best_so_far: Trial | None
) -> TrialOver:
    return TrialOver(about, time, trial, _loaded(store, trial.images), best_so_far)


def _held_out(
    about: About, time: datetime, trial: int, found: Heldout, store: ImageStore
) -> HeldOut:
    compared = tuple(
        Comparison(one.measure, one.baseline, one.best, one.difference, one.searched)
        for one in found.comparisons
    )
    images = (_loaded(store, found.baseline_images), _loaded(store, found.best_images))
    return HeldOut(about, time, trial, compared, *images)


def _loaded(store: ImageStore, identities: Sequence[str]) -> tuple["Image", ...]:
    try:
        return tuple(store.load(identity) for identity in identities)
    except (OSError, ValueError) as error:
        _log.warning("logged without its images: %s", error)
        return ()
