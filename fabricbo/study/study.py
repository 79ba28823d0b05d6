"""`Study`: the one stateful class. It asks, tells, fails, and never loses what it was told."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fabricbo.protocols import Advice, Estimate, Estimator, History
from fabricbo.records import Direction, Reference, Round, Score, Trial, TrialStatus
from fabricbo.scoring import ObjectiveError, declaration
from fabricbo.space import ActionSpace
from fabricbo.study.drawing import Parts, draw_and_score
from fabricbo.study.errors import NameInUseError, RepeatedFailureError, StudyCompleteError
from fabricbo.study.heldout import Heldout
from fabricbo.study.images import ImageStore
from fabricbo.study.pool import check_pool, grown_pool
from fabricbo.study.rounds import growth, heldout_seeds, round_seeds
from fabricbo.study.settings import StudySettings
from fabricbo.study.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

STORE_NAME = "study.db"
MAX_FAILURES = 3
"""Failed trials in a row that stop a study."""

_log = logging.getLogger(__name__)


class Study:
    """An open study.

    Reading needs nothing but its folder; `ask` needs a proposer, `run` all the `Parts`.
    """

    def __init__(self, folder: Path, parts: Parts | None = None) -> None:
        """Open a study that exists; the same as `Study.open`.

        Raises:
            NotAStudyError: there is none, or it cannot be read.
            NewerStoreError: it was written by a newer version.
        """
        self.folder = folder
        self.images = ImageStore(folder / "images")
        self._store = Store(folder / STORE_NAME, self.images)
        self._parts = parts
        self.settings: StudySettings = self._store.settings
        self.direction: Direction = self._store.direction
        self.objective_name = self._store.objective_name
        references = bool(self.rounds[0].pool) or self.settings.pool.grows
        self.space: ActionSpace = self.settings.space.to_space(roles=references)

    @classmethod
    def open(cls, folder: Path, parts: Parts | None = None) -> "Study":
        """Open a study that exists; trials in flight when it was last closed are pending.

        Raises:
            NotAStudyError: there is none, or it cannot be read.
            NewerStoreError: it was written by a newer version.
        """
        return cls(folder, parts)

    @classmethod
    def create(
        cls,
        settings: StudySettings,
        parts: Parts,
        pool: Sequence[Reference] = (),
    ) -> "Study":
        """Make a new study in `settings.folder`, with its first round open.

        Raises:
            NameInUseError: there is one already.
            ValueError: the pool does not fit the action space.
        """
        folder = settings.folder
        if (folder / STORE_NAME).exists():
            raise NameInUseError(
                f"name: there is a study in {folder} already; resume it, or choose another name"
            )
        check_pool(settings, pool)
        images = ImageStore(folder / "images")
        for reference in pool:
            images.save(reference.image)
        seeds = round_seeds(settings.seed, 1, settings.images)
        first = Round(1, seeds, tuple(pool))
        Store.create(folder / STORE_NAME, settings, declaration(parts.objective), first)
        return cls(folder, parts)

    def close(self) -> None:
        """Give the store back; the study can be opened again."""
        self._store.close()

    # What is known

    @property
    def trials(self) -> list[Trial]:
        """All trials in order."""
        return self._store.trials()

    @property
    def rounds(self) -> list[Round]:
        """All rounds so far, in order."""
        return self._store.rounds()

    @property
    def history(self) -> History:
        """What a proposer may know."""
        return History(
            space=self.space,
            pool=self.rounds[-1].pool,
            trials=tuple(self.trials),
            direction=self.direction,
            seed=self.settings.seed,
        )

    @property
    def planned_trials(self) -> int:
        """How many trials the settings ask for, the hand settings included."""
        first = self.rounds[0]
        return self._planned_in(first) + (self.settings.rounds - 1) * self.settings.trials

    @property
    def baseline(self) -> Trial | None:
        """The trial of the hand settings, once it is done."""
        return next((t for t in self.trials if t.index == 0 and t.score is not None), None)

    @property
    def estimates(self) -> Mapping[int, Estimate]:
        """What each done trial is expected to score, by index.

        Empty as long as not all of them are estimated: the proposer does it when `run` has come
        to its end, if it can.
        """
        found = self._store.estimates()
        done = {trial.index for trial in self.trials if trial.score is not None}
        return found if found.keys() == done else {}

    @property
    def advice(self) -> Advice | None:
        """Whether it is worth going on, as of the last estimates; None where nobody can say."""
        return self._store.advice() if self.estimates else None

    def best(self) -> Trial | None:
        """Return the best of the done trials, the first of equals; None without any.

        By what they are expected to score, where there are `estimates`: the best of many noisy
        means is often the luckiest. By their mean score as long as there are none.
        """
        sign, estimates = (1 if self.direction == "maximize" else -1), self.estimates
        done = {t: t.score.mean for t in self.trials if t.score is not None}
        expected = {t: estimates[t.index].mean if estimates else mean for t, mean in done.items()}
        return max(expected, key=lambda trial: sign * expected[trial], default=None)

    # Ask and tell

    def ask(self) -> Trial:
        """Have the next trial proposed; it is stored as pending.

        A full round must be finished before the next one is opened.

        Raises:
            StudyCompleteError: all planned trials have been asked for, or those of the round
                have and some of them are still pending.
        """
        trials, current = self.trials, self.rounds[-1]
        here = [trial for trial in trials if trial.round == current.index]
        if len(here) >= self._planned_in(current):
            current = self._next_round(current, here)
        proposal = self._needed_parts().proposer.propose(self.history)
        trial = Trial(
            index=len(trials),
            round=current.index,
            action=proposal.action,
            source=proposal.source,
            seeds=current.seeds,
        )
        self._store.add_trial(trial)
        return trial

    def tell(
        self,
        trial: Trial,
        images: Sequence["Image"],
        scores: Score | Sequence[float],
        *,
        seconds: float | None = None,
    ) -> None:
        """Store a trial's outcome: images first, then one row, in one transaction.

        Args:
            scores: one number an image, or a single one for all of them.
            seconds: how long it took to draw and score, if known.

        Raises:
            ValueError: not as many scores as images, or one that is not finite.
            TrialStateError: the trial is not pending.
        """
        score = scores if isinstance(scores, Score) else Score(tuple(scores))
        if len(score.values) not in (1, len(images)):
            raise ValueError(f"expected {len(images)} scores or one, got {len(score.values)}")
        saved = [self.images.save(image) for image in images]
        self._store.finish_trial(trial.index, score, saved, seconds)

    def fail(self, trial: Trial, reason: str) -> None:
        """Store that a trial has no outcome, and why.

        Raises:
            TrialStateError: the trial is not pending.
        """
        _log.warning("trial %d failed: %s", trial.index, reason)
        self._store.fail_trial(trial.index, reason)

    def run(self, on_trial: Callable[[Trial], None] | None = None) -> Trial | None:
        """Do all that is planned and not done yet: draw, score and tell, trial after trial.

        Trials that were in flight when the study was last stopped are drawn first.

        Args:
            on_trial: told about each finished trial, done or failed.

        Returns:
            The best trial.

        Raises:
            RepeatedFailureError: three trials in a row failed; everything is kept.
        """
        failures = 0
        while (trial := self._next_trial()) is not None:
            finished = self._do(trial)
            failures = failures + 1 if finished.status is TrialStatus.FAILED else 0
            if on_trial is not None:
                on_trial(finished)
            if failures >= MAX_FAILURES:
                raise RepeatedFailureError(
                    f"{failures} trials in a row failed, the last because: {finished.reason}. "
                    f"Everything is kept in {self.folder}"
                )
        self._estimate()
        return self.best()

    def hold_out(self) -> Heldout | None:
        """Draw and score baseline and best on seeds that the search never saw, and store it.

        How many of each, the settings say.

        Returns:
            None as long as the baseline has no score, or if the settings ask for no images.

        Raises:
            ObjectiveError: the objective fails on them.
        """
        baseline, best, settings = self.baseline, self.best(), self.settings
        if baseline is None or best is None or not settings.heldout:
            return None
        seeds = heldout_seeds(settings.seed, settings.rounds, settings.images, settings.heldout)
        for trial in {baseline.index: baseline, best.index: best}.values():
            drawn, score = draw_and_score(self._needed_parts(), trial.action, settings, seeds)
            saved = [self.images.save(image) for image in drawn]
            self._store.put_heldout(trial.index, seeds, score, saved)
        return self.heldout

    @property
    def heldout(self) -> Heldout | None:
        """The stored result of `hold_out` for today's best; None if there is none."""
        stored, best = self._store.heldout(), self.best()
        if best is None or 0 not in stored or best.index not in stored:
            return None
        (baseline_score, baseline_images), (score, images) = stored[0], stored[best.index]
        return Heldout(baseline_score, score, baseline_images, images)

    # Inside

    def _estimate(self) -> None:
        """Have the trials estimated; without that the means decide which is the best."""
        proposer = self._needed_parts().proposer
        if isinstance(proposer, Estimator):
            history = self.history
            self._store.put_estimates(proposer.estimate(history), proposer.advise(history))

    def _needed_parts(self) -> Parts:
        if self._parts is None:
            raise ValueError("the study was opened for reading; asking and running need its parts")
        return self._parts

    def _planned_in(self, current: Round) -> int:
        """The first round has the hand settings on top, or alone where nothing else can matter."""
        if not current.pool and not self.space.acts_without_references:
            return 1
        return self.settings.trials + (1 if current.index == 1 else 0)

    def _next_trial(self) -> Trial | None:
        pending = [trial for trial in self.trials if trial.status is TrialStatus.PENDING]
        if pending:
            return pending[0]
        try:
            return self.ask()
        except StudyCompleteError:
            return None

    def _do(self, trial: Trial) -> Trial:
        """Draw and score a pending trial; whatever goes wrong in it, the trial fails with it."""
        began = time.monotonic()
        try:
            images, score = draw_and_score(
                self._needed_parts(), trial.action, self.settings, trial.seeds
            )
        except ObjectiveError as error:
            self.fail(trial, str(error))
        except (RuntimeError, ValueError, MemoryError) as error:  # out of device memory included
            self.fail(trial, f"drawing failed with {type(error).__name__}: {error}")
        else:
            self.tell(trial, images, score, seconds=time.monotonic() - began)
        return self.trials[trial.index]

    def _next_round(self, current: Round, here: Sequence[Trial]) -> Round:
        if any(trial.status is TrialStatus.PENDING for trial in here):
            raise StudyCompleteError(
                f"round {current.index} is full; its pending trials come first"
            )
        if current.index == self.settings.rounds:
            raise StudyCompleteError(
                f"all {self.planned_trials} planned trials have been asked for"
            )
        index = current.index + 1
        seeds = round_seeds(self.settings.seed, index, self.settings.images)
        grow = self.settings.pool
        chosen = growth(here, self.direction, grow.grow_liked, grow.grow_disliked)
        opened = Round(index, seeds, grown_pool(current, chosen, self.images.load))
        self._store.open_round(opened)
        return opened
