"""Which questions to have ready: chosen by the proposer, with a reason the owner can read."""

import random
from collections.abc import Collection, Sequence
from itertools import chain, combinations

from fabricbo.best import worth_comparing
from fabricbo.records import Trial
from fabricbo.study import Study
from fabricbo.study.settings import StudySettings
from fabricbo.votes import Kind, Option, Question

_TRIES = 2
"""How often a set is looked for, for each that is wanted: some were asked before."""


def per_round(settings: StudySettings) -> int:
    """Return how many questions a round asks, besides repeats and gold checks."""
    return settings.questions_a_round


def planned(settings: StudySettings) -> int:
    """Return how many questions the whole study asks."""
    return per_round(settings) * settings.rounds


def at_once(settings: StudySettings) -> int:
    """Return how many trials a question is about."""
    rating = settings.rating
    if rating is None or not rating.compares:
        return 1
    return 2 if rating.kind == "pairwise" else rating.options


def is_planned(question: Question) -> bool:
    """Tell a question of the plan from repeats and gold checks."""
    return question.repeat_of is None and question.expected is None


def plan(
    study: Study, count: int, asked: Sequence[Question], waiting: Sequence[Question]
) -> list[Question]:
    """Return the questions that should help most, at most so many.

    Args:
        study: with its proposer.
        count: how many.
        asked: what stands already: answered, or waiting for somebody.
        waiting: those of them that wait.
    """
    rating = study.settings.rating
    if rating is None or count < 1:
        return []
    if rating.kind == "pairwise":
        return _pairs(study, count, asked, waiting)
    if rating.kind == "best-of":
        return _best_of(study, count, asked, waiting)
    return _trials(study, count, asked)


def _pairs(
    study: Study, count: int, asked: Sequence[Question], waiting: Sequence[Question]
) -> list[Question]:
    found = study.next_comparisons(count, {question.trials for question in waiting})
    why = _reason(study, "first look", "most to learn (qEUBO)")
    return [_question(study, pair, why, asked, k) for k, pair in enumerate(found)]


def _best_of(
    study: Study, count: int, asked: Sequence[Question], waiting: Sequence[Question]
) -> list[Question]:
    """Return sets grown from the most telling pairs, filled up with the latest trials.

    What is known to break a bound comes after what is not.
    """
    options = at_once(study.settings)
    passed = {pair for question in waiting for pair in _pairs_in(question.trials)}
    seen = {question.trials for question in asked if is_planned(question)}
    why = _reason(study, "first look", "most to learn (qEUBO)")
    made: list[Question] = []
    latest = _shown(study.trials)[::-1]
    shown = [*worth_comparing(latest, study.measures), *latest]
    for _ in range(_TRIES * count):
        chosen: dict[int, Trial] = {}
        telling = study.next_comparisons(options * 2, passed)
        for trial in (*chain(*telling), *shown):
            if telling and len(chosen) < options:
                chosen[trial.index] = trial
        if len(chosen) < 2 or len(made) == count:
            break
        passed |= _pairs_in(chosen)
        if frozenset(chosen) not in seen:
            seen.add(frozenset(chosen))
            made.append(_question(study, tuple(chosen.values()), why, asked, len(made)))
    return made


def _pairs_in(trials: Collection[int]) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in combinations(trials, 2)}


def _trials(study: Study, count: int, asked: Sequence[Question]) -> list[Question]:
    """Return trials that were not asked about, all images of each."""
    known = {trial for question in asked if is_planned(question) for trial in question.trials}
    new = [trial for trial in _shown(study.trials) if trial.index not in known]
    return [
        Question(
            id=0,
            kind=_kind(study),
            options=tuple(Option(image, trial.index) for image in trial.images),
            reason="every trial is asked about",
        )
        for trial in new[:count]
    ]


def _question(
    study: Study, trials: Sequence[Trial], reason: str, asked: Sequence[Question], number: int
) -> Question:
    """Show one image of each trial, all with the same seed and prompt.

    Args:
        study: that they belong to.
        trials: to compare.
        reason: why these.
        asked: what stands already: the same trials are shown with other images.
        number: how many questions were made after those.
    """
    rng = random.Random(f"image {study.settings.seed} {len(asked) + number}")
    same = frozenset(trial.index for trial in trials)
    known = {option.image for one in asked if one.trials == same for option in one.options}
    places = range(min(len(trial.images) for trial in trials))
    new = [place for place in places if trials[0].images[place] not in known]
    place = rng.choice(new or places)
    options = tuple(Option(trial.images[place], trial.index) for trial in trials)
    return Question(0, _kind(study), options, reason)


def _kind(study: Study) -> Kind:
    rating = study.settings.rating
    return "pairwise" if rating is None else rating.kind


def _reason(study: Study, first: str, then: str) -> str:
    return then if study.preferences else first


def _shown(trials: Collection[Trial]) -> list[Trial]:
    return [t for t in trials if t.images and not t.status.is_lost]
