"""`Study`: the one stateful class. It asks, tells, fails, and never loses what it was told."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fabricbo.assessment import Assessment
from fabricbo.best import best, best_judged, best_unassessed, broken_bounds, pareto
from fabricbo.protocols import Assessor, Comparer, Described, Environment, History
from fabricbo.records import Reference, Round, Trial, TrialStatus
from fabricbo.scores import Direction, Measure, Preference
from fabricbo.scoring import ObjectiveError
from fabricbo.space import ActionSpace
from fabricbo.study.ballots import Ballots
from fabricbo.study.drawing import Batch, Parts, Scene, draw, own_images, score_values
from fabricbo.study.driver import driving
from fabricbo.study.earlier import comparable_trials
from fabricbo.study.errors import NameInUseError, StudyCompleteError
from fabricbo.study.failures import FailuresInARow
from fabricbo.study.heldout import Heldout, HeldoutRow, read_heldout, reporters_of
from fabricbo.study.images import ImageStore
from fabricbo.study.judging import (
    check_images_stay,
    gold_questions,
    least_compared,
    shown_indices,
)
from fabricbo.study.measures import parts_for, study_measures
from fabricbo.study.outcomes import Outcome, check_seconds, read_outcome
from fabricbo.study.pool import check_pool, grown_pool
from fabricbo.study.rounds import (
    growth,
    growth_by_preferences,
    growth_by_votes,
    heldout_seeds,
    round_seeds,
    with_wishes,
)
from fabricbo.study.settings import StudySettings
from fabricbo.study.store import Beginning, Store

if TYPE_CHECKING:
    from PIL.Image import Image

STORE_NAME = "study.db"

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
            ValueError: the parts' objectives are not what it measures.
        """
        self.folder = folder
        self.images = ImageStore(folder / "images")
        self._store = Store(folder / STORE_NAME, self.images)
        self.settings: StudySettings = self._store.settings
        self.measures: tuple[Measure, ...] = self._store.measures
        """What is measured: the first objective, further ones, and what has bounds to keep."""
        self._parts = parts and parts_for(self.measures, self.settings, parts)
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
            ValueError: the pool does not fit the action space, nothing judges the images, or the
                earlier study measures something else.
        """
        folder = settings.folder
        if (folder / STORE_NAME).exists():
            raise NameInUseError(
                f"name: there is a study in {folder} already; resume it, or choose another name"
            )
        check_pool(settings, pool)
        measures = study_measures(parts.objectives, settings)
        known = () if earlier is None else comparable_trials(earlier, measures)
        images = ImageStore(folder / "images")
        used = (r for t in known for r in (*t.action.liked, *t.action.disliked))
        for reference in dict.fromkeys((*pool, *used)):
            images.save(reference.image)
        gold = gold_questions(settings, images)
        seeds = round_seeds(settings.seed, 1, settings.images)
        begin = Beginning(measures, Round(1, seeds, tuple(pool)), known)
        Store.create(folder / STORE_NAME, settings, begin)
        study = cls(folder, parts)
        study.ballots.add_questions(gold)
        return study

    def close(self) -> None:
        """Give the store back; the study can be opened again."""
        self._store.close()
        self.ballots.close()

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
    def preferences(self) -> list[Preference]:
        """What people preferred: what was told in Python, then what raters voted."""
        return [*self._store.preferences(), *self.ballots.preferences()]

    @cached_property
    def ballots(self) -> Ballots:
        """Raters, what they are asked, and what they answered."""
        return Ballots(self.folder / STORE_NAME)

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
        first = self.rounds[0]
        return self._planned_in(first) + (self.settings.rounds - 1) * self.settings.trials

    @property
    def baseline(self) -> Trial | None:
        """The trial of the hand settings, once it is done."""
        return next((t for t in self.trials if t.index == 0 and t.score is not None), None)

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
        trials, found = self.trials, self.assessment
        if found.utilities:
            return best_judged(trials, self.measures, found)
        if found.estimates:
            return best(trials, self.measures, found.estimates)
        return best_unassessed(trials, self.measures, self.preferences)

    def pareto(self) -> list[Trial]:
        """Return the trials that none other beats in all objectives, bounds kept, in order."""
        return pareto(self.trials, self.measures, self.assessment.estimates)

    def broken_bounds(self, trial: Trial) -> list[str]:
        """Return the bounds that a scored trial does not keep, such as `nsfw <= 0.1`."""
        return broken_bounds(trial, self.measures, self.assessment.estimates)

    def drawn_with(self, trial: Trial) -> Environment | None:
        """Return what a trial's images depended on besides its action and seeds, if known."""
        return self._store.drawn_with(trial.index)

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
                for a person's judgement (`prefer`).
            seconds: how long it took to draw and score, if known.
            drawn_with: what the images depend on besides the trial, if known; see `Described`.

        Raises:
            ValueError: not as many scores as images, one that is not finite, not all that is
                measured, other images than those that a person judged, or no such duration.
            TrialStateError: the trial is over.
        """
        check_seconds(seconds)
        found = read_outcome(scores, self.measures, self.settings, len(images))
        saved = [self.images.save(image) for image in images]
        check_images_stay(self.trials, trial.index, saved, self.preferences)
        self._store.finish_trial(trial.index, found, saved, seconds, drawn_with)

    def fail(self, trial: Trial, reason: str, images: Sequence["Image"] = ()) -> None:
        """Store that a trial has no outcome, and why; images that it had drawn are kept.

        Raises:
            TrialStateError: the trial is over.
            ValueError: other images than those that a person judged.
        """
        _log.warning("trial %d failed: %s", trial.index, reason)
        saved = [self.images.save(image) for image in images]
        if saved:
            check_images_stay(self.trials, trial.index, saved, self.preferences)
        self._store.fail_trial(trial.index, reason, saved)

    def run(
        self,
        on_trial: Callable[[Trial], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Trial | None:
        """Do all that is planned and not done yet: draw, score and tell, trial after trial.

        Trials that were in flight when the study was last stopped are drawn first.

        Args:
            on_trial: told about each finished trial, done or failed.
            stop: asked before each trial whether to leave off; a later call goes on.

        Returns:
            The best trial.

        Raises:
            RepeatedFailureError: three trials in a row failed; everything is kept.
            StudyInUseError: another process draws for it.
            ValueError: no objective scores; people judge.
        """
        if not self._needed_parts().objectives:
            raise ValueError("people judge this study: use draw() and prefer()")
        failures = FailuresInARow(self.folder)
        with driving(self.folder):
            while not (stop is not None and stop()) and (finished := self.draw()) is not None:
                if on_trial is not None:
                    on_trial(finished)
                failures.note(finished)
            self.assess()
        return self.best()

    def draw(self) -> Trial | None:
        """Draw the next trial, and score it where an objective does.

        Trials that were in flight when the study was last stopped come first. Where people
        judge, the trial is `drawn` afterwards and waits for `prefer`.

        Returns:
            The trial, done, drawn or failed; None where all that is planned has been done.
        """
        trial = self._next_trial()
        return None if trial is None else self._do(trial)

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
        shown = [t for t in trials if t.images and t.status is not TrialStatus.FAILED]
        if len(shown) < 2:
            return []
        proposer = self._needed_parts().proposer
        if isinstance(proposer, Comparer):
            found = proposer.compare(self.history, count, waiting)
        else:
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
        baseline, best, settings = self.baseline, self.best(), self.settings
        if baseline is None or best is None or not settings.heldout:
            return None
        if not (self._needed_parts().objectives or self._needed_parts().reporters):
            return None
        seeds = heldout_seeds(settings.seed, settings.rounds, settings.images, settings.heldout)
        hand = self._hold_out(baseline, seeds)
        if best.index != baseline.index:
            self._hold_out(best, seeds, hand)
        return self.heldout

    def _hold_out(
        self, trial: Trial, seeds: Sequence[int], hand: Sequence[Batch] | None = None
    ) -> list[Batch]:
        """Do it for one trial; on new prompts, what the hand settings drew is held out, too."""
        parts, settings = self._needed_parts(), self.settings
        plan = dict.fromkeys((*settings.prompts, *settings.heldout_prompts), seeds)
        batches = draw(parts.sampler, trial.action, settings, plan)
        beside = batches if hand is None else hand

        def baseline(prompt: str) -> Sequence["Image"]:
            known = prompt in settings.prompts
            return self._hand_images(prompt) if known else own_images(beside, prompt)

        scene = Scene(trial.action, self._pool_of(trial), baseline)
        everyone = {**parts.objectives, **parts.reporters}
        found = score_values(everyone, batches, scene)
        row = HeldoutRow(
            seeds=tuple(seeds),
            values={name: tuple(values) for name, values in found.items()},
            images=tuple(self.images.save(image) for batch in batches for image in batch.images),
            reporters=reporters_of(parts.reporters),
        )
        self._store.put_heldout(trial.index, row)
        return batches

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
        began, parts = time.monotonic(), self._needed_parts()
        batches: list[Batch] = []
        try:
            plan = dict.fromkeys(self.settings.prompts, trial.seeds)
            batches = draw(parts.sampler, trial.action, self.settings, plan)
            values = score_values(parts.objectives, batches, self._scene(trial, batches))
        except ObjectiveError as error:
            self.fail(trial, str(error), _images(batches))
        except (RuntimeError, ValueError, MemoryError) as error:  # out of device memory included
            self.fail(trial, f"drawing failed with {type(error).__name__}: {error}")
        else:
            images, seconds = _images(batches), time.monotonic() - began
            sampler = parts.sampler
            known = sampler.environment if isinstance(sampler, Described) else None
            self.tell(trial, images, values or None, seconds=seconds, drawn_with=known)
        return self.trials[trial.index]

    def _scene(self, trial: Trial, batches: Sequence[Batch]) -> Scene:
        def baseline(prompt: str) -> Sequence["Image"]:
            first = trial.index == 0
            return own_images(batches, prompt) if first else self._hand_images(prompt)

        return Scene(trial.action, self._pool_of(trial), baseline)

    def _hand_images(self, prompt: str) -> list["Image"]:
        """Return what the hand settings drew for a prompt in the first round."""
        hand, prompts = self.trials[0].images, self.settings.prompts
        size = len(hand) // len(prompts)
        start = size * prompts.index(prompt)
        return [self.images.load(image) for image in hand[start : start + size]]

    def _pool_of(self, trial: Trial) -> tuple[Reference, ...]:
        return self.rounds[trial.round - 1].pool

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
        rating = self.settings.rating
        # Trials of different rounds are compared image by image: with the same seed.
        compared = rating is not None and rating.compares
        fresh = round_seeds(self.settings.seed, index, self.settings.images)
        seeds = current.seeds if compared else fresh
        grow = self.settings.pool
        if self._needed_parts().objectives:
            chosen = growth(here, self.measures, grow.grow_liked, grow.grow_disliked)
        elif any((counts := self.ballots.verdicts()).values()):
            known = {reference.id for reference in current.pool}
            drawn = (image for trial in self.trials for image in trial.images)
            new = [image for image in drawn if image not in known]
            chosen = growth_by_votes(new, counts, grow.grow_liked, grow.grow_disliked)
        else:
            said = self.preferences
            chosen = growth_by_preferences(here, said, grow.grow_liked, grow.grow_disliked)
        if self.space.roles:
            chosen = with_wishes(chosen, self.ballots.wishes())
        opened = Round(index, seeds, grown_pool(current, chosen, self.images.load))
        self._store.open_round(opened)
        return opened


def _images(batches: Sequence[Batch]) -> list["Image"]:
    return [image for batch in batches for image in batch.images]
