"""`Study`: the one stateful class. It asks, tells, fails, and never loses what it was told."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from fabricbo.assessment import Assessment
from fabricbo.best import (
    best,
    best_judged,
    best_unassessed,
    broken_bounds,
    pareto,
    worth_comparing,
)
from fabricbo.executors import InlineExecutor, Work
from fabricbo.protocols import Assessor, Comparer, Environment, History, Objective
from fabricbo.records import Reference, Round, Trial, TrialStatus
from fabricbo.scores import Direction, Measure, Preference
from fabricbo.space import ActionSpace
from fabricbo.study.ballots import Ballots
from fabricbo.study.database import Database
from fabricbo.study.driver import Driver, driver_of, driving
from fabricbo.study.earlier import comparable_trials
from fabricbo.study.errors import NameInUseError, StudyCompleteError
from fabricbo.study.failures import FailuresInARow
from fabricbo.study.forked_from import ForkedFrom
from fabricbo.study.heldout import Heldout, HeldoutRow, read_heldout
from fabricbo.study.holding_out import hold_out
from fabricbo.study.images import images_of
from fabricbo.study.judging import (
    check_images_stay,
    gold_questions,
    least_compared,
    shown_indices,
)
from fabricbo.study.location import Location, is_study
from fabricbo.study.logbook import Logbook
from fabricbo.study.measures import parts_for, people_decide, study_measures
from fabricbo.study.next_round import next_round
from fabricbo.study.origin import origins
from fabricbo.study.outcomes import Outcome, check_seconds, read_outcome
from fabricbo.study.parts import Parts
from fabricbo.study.pool import check_pool
from fabricbo.study.rounds import round_seeds
from fabricbo.study.runner import Runner
from fabricbo.study.settings import StudySettings
from fabricbo.study.store import Beginning, Store
from fabricbo.study.trial_rows import TrialEvent, about
from fabricbo.study.work import plan_of, work_for

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)


_Judged = tuple[list[Trial], Assessment, list[Preference]]
"""What says which trial is the best."""


class Study:
    """An open study.

    Reading needs nothing but its folder; `ask` needs a proposer, `run` all the `Parts`.
    """

    def __init__(self, folder: Path, parts: Parts | None = None) -> None:
        """Open a study that exists; the same as `Study.open`.

        Raises:
            NotAStudyError: there is none, or it cannot be read.
            NewerStoreError: it was written by a newer version.
            ValueError: the parts' objectives are not what it measures.
        """
        self.folder = folder
        self._database = Database(Location.of(folder))
        self._store = Store(self._database)
        self.images = self._store.images
        self._rows = self._store.trials
        self.settings: StudySettings = self._store.settings
        self.forked_from: ForkedFrom | None = self._store.forked_from
        """The study, and its round, that this one goes on from; None where it began by itself."""
        self.measures: tuple[Measure, ...] = self._store.measures
        """What is measured: the first objective, further ones, and what has bounds to keep."""
        self._parts = parts and parts_for(self.measures, self.settings, parts)
        self._running: Runner | None = None
        self._logbook = Logbook(self, {} if parts is None else parts.loggers)
        self._best: tuple[_Judged, Trial | None] | None = None
        self.direction: Direction = self.measures[0].direction
        self.objective_name = self.measures[0].name
        references = bool(self.rounds[0].pool) or self.settings.pool.grows
        self.space: ActionSpace = self.settings.space.to_space(roles=references)

    @classmethod
    def open(cls, folder: Path, parts: Parts | None = None) -> "Study":
        """Open a study that exists; trials in flight when it was last closed are pending.

        Raises:
            NotAStudyError: there is none, or it cannot be read.
            NewerStoreError: it was written by a newer version.
            ValueError: the parts' objectives are not what it measures.
        """
        return cls(folder, parts)

    @classmethod
    def create(
        cls,
        settings: StudySettings,
        parts: Parts,
        pool: Sequence[Reference] = (),
        earlier: "Study | None" = None,
    ) -> "Study":
        """Make a new study in `settings.folder`, with its first round open.

        Args:
            settings: all that defines it.
            parts: what it works with.
            pool: references of the first round.
            earlier: a study whose scored trials this one starts from; they are copied.

        Raises:
            NameInUseError: there is one already.
            ImagesGoneError: where it is to keep its images does not answer, or refuses.
            ValueError: the pool does not fit the action space, nothing judges the images, or the
                earlier study measures something else.
        """
        folder = settings.folder
        if is_study(folder):
            raise NameInUseError(
                f"name: there is a study in {folder} already; resume it, or choose another name"
            )
        check_pool(settings, pool)
        measures = study_measures(parts.objectives, settings)
        known = () if earlier is None else comparable_trials(earlier, measures)
        images = images_of(folder, settings.images_at)
        used = (r for t in known for r in (*t.action.liked, *t.action.disliked))
        for reference in dict.fromkeys((*pool, *used)):
            images.save(reference.image)
        gold = gold_questions(settings, images)
        seeds = round_seeds(settings.seed, 1, settings.images)
        begin = Beginning(measures, Round(1, seeds, tuple(pool)), known)
        Store.create(Location.new(folder, settings.database), settings, begin)
        study = cls(folder, parts)
        study.ballots.add_questions(gold)
        return study

    def close(self, patience: float = 10.0) -> None:
        """Give the store and the workers back; the study can be opened again.

        Args:
            patience: seconds that loggers may take to hear all; else they do next time.
        """
        self._stop_workers()
        self._logbook.close(patience)
        self._database.close()

    # What is known

    @property
    def trials(self) -> list[Trial]:
        """All trials in order."""
        return self._rows.all()

    @property
    def rounds(self) -> list[Round]:
        """All rounds so far, in order."""
        return self._store.rounds()

    @property
    def preferences(self) -> list[Preference]:
        """What people preferred: what was told in Python, then what raters voted."""
        return [*self._store.preferences(), *self.ballots.preferences()]

    @cached_property
    def ballots(self) -> Ballots:
        """Raters, what they are asked, and what they answered."""
        return Ballots(self._database)

    @property
    def history(self) -> History:
        """What a proposer may know."""
        current = self.rounds[-1]
        return History(
            space=self.space,
            pool=current.pool,
            trials=tuple(self.trials),
            direction=self.direction,
            seed=self.settings.seed,
            further=self.measures[1:],
            reference_point=self.measures[0].reference_point,
            preferences=tuple(self.preferences),
            seeds=current.seeds,
            earlier=tuple(self._store.earlier()),
            spend=self.settings.scarce,
        )

    @property
    def planned_trials(self) -> int:
        """How many trials the settings ask for, the hand settings included."""
        known = self.rounds[: max(1, self._taken_over)]
        later = (self.settings.rounds - len(known)) * self.settings.trials
        return sum(self.planned_in(one) for one in known) + later

    @property
    def complete_rounds(self) -> int:
        """How many rounds, from the first, have all their trials, with nothing left to do."""
        trials = self.trials

        def is_complete(one: Round) -> bool:
            here = [trial for trial in trials if trial.round == one.index]
            full = len(here) >= self.planned_in(one)
            return full and not any(trial.status.is_pending for trial in here)

        return sum(1 for _ in takewhile(is_complete, self.rounds))

    @property
    def baseline(self) -> Trial | None:
        """The trial of the hand settings, once it is done."""
        return next((t for t in self.trials if t.index == 0 and t.score is not None), None)

    @property
    def people_lead(self) -> bool:
        """Whether it waits for raters' answers: nothing that the settings name is optimized.

        An objective that was handed over in Python is not at hand where a study goes on by name.
        """
        settings = self.settings
        scored = settings.objective and not people_decide(self.measures)
        return settings.rating is not None and not scored

    @property
    def assessment(self) -> Assessment:
        """What the proposer makes of all trials and judgements; empty where it is out of date.

        It is made when `run` has come to its end, or by `assess`.
        """
        found, judgements = self._store.assessment()
        scored = {trial.index for trial in self.trials if trial.scores}
        said = self.preferences
        judged = scored.union(*((p.better, p.worse) for p in said)) if said else set()
        known = found.estimates.keys() == scored and found.utilities.keys() == judged
        return found if known and judgements == self._judgements else Assessment()

    @property
    def _judgements(self) -> int:
        """A number that grows with every judgement, one that takes another back included."""
        return len(self._store.preferences()) + self.ballots.revision

    def best(self) -> Trial | None:
        """Return the best of the trials, the first of equals; None without any.

        By what they are expected to score, where there is an `assessment`: the best of many
        noisy means is often the luckiest. Where people judge, by how good it says they find them.
        As long as there is none, by their mean score, or by the share of comparisons won where
        trials without a score were judged. Bounds are kept where any trial keeps them. With
        several objectives it is that of `pareto` with the largest least gain.
        """
        known = self.trials, self.assessment, self.preferences
        kept = self._best  # a page asks a dozen times
        if kept is None or kept[0] != known:
            kept = self._best = known, self._best_of(*known)
        return kept[1]

    def _best_of(
        self, trials: list[Trial], found: Assessment, preferences: list[Preference]
    ) -> Trial | None:
        if found.utilities:
            return best_judged(trials, self.measures, found)
        if found.estimates:
            return best(trials, self.measures, found.estimates)
        return best_unassessed(trials, self.measures, preferences)

    def pareto(self) -> list[Trial]:
        """Return the trials that none other beats in all objectives, bounds kept, in order."""
        return pareto(self.trials, self.measures, self.assessment.estimates)

    def broken_bounds(self, trial: Trial) -> list[str]:
        """Return the bounds that a scored trial does not keep, such as `nsfw <= 0.1`."""
        return broken_bounds(trial, self.measures, self.assessment.estimates)

    def drawn_with(self, trial: Trial) -> Environment | None:
        """Return what a trial's images depended on besides its action and seeds, if known."""
        return self._rows.drawn_with(trial.index)

    @property
    def events(self) -> list[TrialEvent]:
        """All that became of trials: proposed, running, drawn, and how it ended."""
        return self._rows.events()

    @property
    def created(self) -> datetime:
        """When it was made, in UTC."""
        return self._store.created

    @property
    def driver(self) -> Driver | None:
        """Who draws for it; None where nobody does."""
        return driver_of(self._database)

    @property
    def reporters(self) -> Mapping[str, Objective]:
        """What scores baseline and best only, by name."""
        return self._needed_parts().reporters

    # Ask and tell

    def ask(self) -> Trial:
        """Have the next trial proposed; it is stored as `proposed`.

        A full round must be finished before the next one is opened.

        Raises:
            StudyCompleteError: all planned trials have been asked for, or those of the round
                have and some of them are still pending.
        """
        trial = self._proposed()
        self._rows.add(trial)
        return trial

    def _proposed(self) -> Trial:
        """Have the next trial proposed."""
        trials, current = self.trials, self.rounds[-1]
        here = [trial for trial in trials if trial.round == current.index]
        if len(here) >= self.planned_in(current):
            current = next_round(self, current, here, scored=self._is_scored)
            self._store.open_round(current)
        proposal = self._needed_parts().proposer.propose(self.history)
        return Trial(
            index=len(trials),
            round=current.index,
            action=proposal.action,
            source=proposal.source,
            seeds=current.seeds,
        )

    def claim(self, trial: Trial, worker: str | None = None) -> Trial:
        """Begin a new attempt at a pending trial; earlier attempts can store nothing any more.

        Args:
            trial: which.
            worker: who draws it.

        Returns:
            The trial to draw, and to `tell`.

        Raises:
            TrialStateError: it is over, waits for a person, or was claimed by somebody else.
        """
        self._rows.claim(trial, worker)
        return self.trials[trial.index]

    def keep_images(
        self,
        trial: Trial,
        images: Sequence["Image"],
        *,
        drawn_with: Environment | None = None,
        worker: str | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Store the images of a trial that is going to be scored, so that they are not lost.

        Args:
            trial: which.
            images: as for `tell`.
            drawn_with: as for `tell`.
            worker: who drew them, where there are several.
            counts: what the sampler counted meanwhile; see `Counting`.

        Raises:
            TrialStateError: it is over, or somebody else has claimed it.
            ValueError: other images than those that a person judged.
        """
        saved = self._save(trial, images, drawn_with)
        self._rows.keep_images(trial, saved, drawn_with, worker, counts)

    def tell(
        self,
        trial: Trial,
        images: Sequence["Image"],
        scores: Outcome = None,
        *,
        seconds: float | None = None,
        drawn_with: Environment | None = None,
    ) -> None:
        """Store a trial's outcome: images first, then one row, in one transaction.

        Args:
            trial: which.
            images: one a prompt and seed, prompt after prompt.
            scores: one number an image, or a single one for all of them (with several prompts,
                one a prompt); by name where several things are measured. None: the images wait
                for a person's judgement (`prefer`), as they do where what has bounds to keep is
                all that is measured.
            seconds: how long it took to draw and score, if known.
            drawn_with: what the images depend on besides the trial, if known; see `Described`.

        Raises:
            ValueError: not as many scores as images, one that is not finite, not all that is
                measured, other images than those that a person judged, or no such duration.
            TrialStateError: the trial is over.
        """
        check_seconds(seconds)
        found = read_outcome(scores, self.measures, self.settings, len(images))
        saved = self._save(trial, images, drawn_with)
        self._rows.finish(trial, found, saved, seconds, drawn_with)
        self._logbook.over(trial.index)

    def finish(self, trial: Trial, scores: Outcome, seconds: float | None = None) -> None:
        """Store the scores of a trial whose images were kept before (`keep_images`).

        Raises:
            ValueError: as `tell`, or no images were kept.
            TrialStateError: the trial is over, or somebody else has claimed it.
        """
        check_seconds(seconds)
        images = self.trials[trial.index].images
        if not images:
            raise ValueError(f"trial {trial.index} has no images yet")
        found = read_outcome(scores or None, self.measures, self.settings, len(images))
        self._rows.finish(trial, found, images, seconds)
        self._logbook.over(trial.index)

    def fail(self, trial: Trial, reason: str, images: Sequence["Image"] = ()) -> None:
        """Store that a trial has no outcome, and why; images that it had drawn are kept.

        Raises:
            TrialStateError: the trial is over.
            ValueError: other images than those that a person judged.
        """
        _log.warning("trial %d failed: %s", trial.index, reason, extra=about(trial))
        saved = self._save(trial, images, None) if images else ()
        self._rows.lose(trial, TrialStatus.FAILED, reason, saved)
        self._logbook.over(trial.index)

    def abandon(self, trial: Trial, reason: str) -> None:
        """Give a trial up; it counts as one without an outcome.

        Raises:
            TrialStateError: the trial is over, or somebody else has claimed it.
        """
        _log.warning("trial %d was given up: %s", trial.index, reason, extra=about(trial))
        self._rows.lose(trial, TrialStatus.ABANDONED, reason)
        self._logbook.over(trial.index)

    def _save(
        self, trial: Trial, images: Sequence["Image"], drawn_with: Environment | None
    ) -> tuple[str, ...]:
        environment = drawn_with or self.drawn_with(trial)
        told = origins(self.settings, trial, plan_of(self.settings, trial), drawn_with=environment)
        saved = self.images.save_all(images, told)
        trials = self.trials
        if any(known.images for known in trials[trial.index : trial.index + 1]):
            check_images_stay(trials, trial.index, saved, self.preferences)
        return saved

    def run(
        self,
        on_trial: Callable[[Trial], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Trial | None:
        """Do all that is planned and not done yet: draw, score and tell, trial after trial.

        Trials that were in flight when the study was last stopped are drawn first.

        As many trials are drawn at once as the executor takes.

        Args:
            on_trial: told about each finished trial, done or failed.
            stop: asked before each trial whether to leave off; those that are running are waited
                for, and a later call goes on.

        Returns:
            The best trial.

        Raises:
            RepeatedFailureError: three trials in a row failed; everything is kept.
            StudyInUseError: another process draws for it.
            ValueError: no objective scores; people judge.
        """
        if not self._is_scored:
            raise ValueError("people judge this study: use draw() and prefer()")
        failures = FailuresInARow(self.folder)
        with self.driving():
            for finished in self._runner.trials(stop or (lambda: False)):
                if on_trial is not None:
                    on_trial(finished)
                failures.note(finished)
            self.assess()
        return self.best()

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Draw for this study, alone.

        Raises:
            StudyInUseError: another process does.
        """
        with driving(self._database.location):
            try:
                self._logbook.begin()
                yield
            except BaseException:
                self._stop_workers()  # what they are at is for whoever goes on
                raise

    def draw(self) -> Trial | None:
        """Draw the next trial, and score it where an objective does.

        Trials that were in flight when the study was last stopped come first. Where people
        judge, the trial is `drawn` afterwards and waits for `prefer`.

        Returns:
            The trial, done, drawn or failed; None where all that is planned has been done.
        """
        return next(self._runner.trials(), None)

    # Judged by people

    def prefer(self, better: Trial, *worse: Trial) -> None:
        """Store that a person prefers a trial to another, or to several others.

        Contradictions are welcome: people are not always of one mind, and the surrogate knows.

        Raises:
            ValueError: nothing it is better than, or a trial that is not this study's or has no
                images yet.
        """
        if not worse:
            raise ValueError("prefer needs a trial that the other one is better than")
        index, *others = shown_indices(self.trials, (better, *worse))
        self._store.add_preferences([Preference(index, other) for other in others])

    def tie(self, one: Trial, other: Trial) -> None:
        """Store that a person finds two trials as good.

        Raises:
            ValueError: a trial that is not this study's or has no images yet.
        """
        first, second = shown_indices(self.trials, (one, other))
        self._store.add_preferences([Preference(first, second, tie=True)])

    def next_comparison(self) -> tuple[Trial, Trial] | None:
        """Return the two drawn trials whose comparison should help most; None without two."""
        return next(iter(self.next_comparisons(1)), None)

    def next_comparisons(
        self, count: int, waiting: Collection[frozenset[int]] = ()
    ) -> list[tuple[Trial, Trial]]:
        """Return pairs of drawn trials whose comparison should help most, the best first.

        The proposer chooses, if it can; otherwise those that were compared least.

        Args:
            count: how many, at most.
            waiting: pairs of indices that somebody is being asked about already.
        """
        trials = self.trials
        shown: Sequence[Trial] = [t for t in trials if t.images and not t.status.is_lost]
        if len(shown) < 2:
            return []
        proposer = self._needed_parts().proposer
        if isinstance(proposer, Comparer):
            found = proposer.compare(self.history, count, waiting)
        else:
            shown = worth_comparing(shown, self.measures)
            found = least_compared(shown, self.preferences, count, waiting)
        return [(trials[one], trials[other]) for one, other in found]

    # At the end

    def assess(self) -> Assessment:
        """Have the trials assessed by the proposer, if it can, and keep what it says."""
        proposer = self._needed_parts().proposer
        if isinstance(proposer, Assessor):
            judgements, history = self._judgements, self.history
            self._store.put_assessment(proposer.assess(history), judgements)
        return self.assessment

    def hold_out(self) -> Heldout | None:
        """Draw and score baseline and best on seeds that the search never saw, and store it.

        How many of each, for which further prompts, and which further objectives score them, the
        settings say.

        Returns:
            None as long as the baseline has no score, if nothing scores here, or if the settings
            ask for no images.

        Raises:
            ObjectiveError: an objective fails on them.
        """
        parts = self._needed_parts()
        if not self.settings.heldout or not (parts.objectives or parts.reporters):
            return None
        baseline, best = self.baseline, self.best()
        if baseline is None or best is None:
            return None
        asked, keep = parts.compare_with_hand, self._store.put_heldout
        hold_out(self, self._runner, (baseline, best), keep, with_hand=asked)
        self._logbook.begin()
        self._logbook.held_out()
        return self.heldout

    @property
    def heldout_rows(self) -> dict[int, HeldoutRow]:
        """What is stored of trials that were drawn with held-out seeds, by index."""
        return self._store.heldout()

    @property
    def heldout(self) -> Heldout | None:
        """The stored result of `hold_out` for today's best; None if there is none."""
        both = self._heldout()
        return None if both is None else both[0]

    @property
    def heldout_prompts(self) -> Heldout | None:
        """The same on the held-out prompts; None if there are none."""
        both = self._heldout()
        return None if both is None else both[1]

    def _heldout(self) -> tuple[Heldout, Heldout | None] | None:
        stored, best = self._store.heldout(), self.best()
        if best is None or 0 not in stored or best.index not in stored:
            return None
        return read_heldout(self.settings, self.measures, stored[0], stored[best.index])

    # Inside

    def _needed_parts(self) -> Parts:
        if self._parts is None:
            raise ValueError("the study was opened for reading; asking and running need its parts")
        return self._parts

    @property
    def _is_scored(self) -> bool:
        """Whether an objective that is at hand says what is good."""
        return bool(self._needed_parts().objectives) and not people_decide(self.measures)

    @property
    def _taken_over(self) -> int:
        """How many rounds are of the study that this one goes on from."""
        return 0 if self.forked_from is None else self.forked_from.round

    def planned_in(self, current: Round) -> int:
        """Return how many trials a round is to have.

        The first round has the hand settings on top, or alone where nothing else can matter.
        """
        if current.index <= self._taken_over:  # the other study's plan may have been another
            return sum(trial.round == current.index for trial in self.trials)
        if not current.pool and not self.space.acts_without_references:
            return 1
        return self.settings.trials + (1 if current.index == 1 else 0)

    @property
    def _runner(self) -> Runner:
        """What goes through trials; it and its workers stay until the study is closed."""
        if self._running is None:
            parts = self._needed_parts()
            make = parts.executor or InlineExecutor
            self._running = Runner(self, make(parts.tools))
        return self._running

    def _stop_workers(self) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None

    def begin_next(self, running: Collection[int] = ()) -> Trial | None:
        """Begin a trial: one that was in flight when the study was stopped, or a new one.

        Args:
            running: indices of those that are being drawn.

        Returns:
            The trial to draw; None where all that is planned has been asked for, or what is
            running comes first.
        """
        trials = self.trials
        pending = [t for t in trials if t.status.is_pending and t.index not in running]
        if pending:
            return self.claim(pending[0])
        if 0 in running and self._needed_parts().compare_with_hand:
            return None
        try:
            return self._rows.add_begun(self._proposed())
        except StudyCompleteError:
            return None

    def work(self, trial: Trial) -> Work:
        """Return what is to be done for a trial that was claimed."""
        return work_for(self, trial, with_hand=self._needed_parts().compare_with_hand)

    def pool_of(self, trial: Trial) -> tuple[Reference, ...]:
        """Return the references that a trial chose from."""
        return self._store.round(trial.round).pool
