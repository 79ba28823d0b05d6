"""Which questions to have ready: chosen by the proposer, with a reason the owner can read."""

import random
from collections.abc import Collection, Sequence

from fabricbo.records import Trial, TrialStatus
from fabricbo.study import Study
from fabricbo.study.settings import StudySettings
from fabricbo.votes import Kind, Option, Question


def per_round(settings: StudySettings) -> int:
    """Return how many questions a round asks, besides repeats and gold checks."""
    rating = settings.rating
    asked = None if rating is None else rating.questions
    return asked or settings.trials


def planned(settings: StudySettings) -> int:
    """Return how many questions the whole study asks."""
    return per_round(settings) * settings.rounds


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
        return _pairs(study, count, len(asked), waiting)
    if rating.kind == "best-of":
        return _best_of(study, count, asked, rating.options)
    return _trials(study, count, asked)


def _pairs(study: Study, count: int, asked: int, waiting: Sequence[Question]) -> list[Question]:
    found = study.next_comparisons(count, {question.trials for question in waiting})
    why = _reason(study, "first look", "most to learn (qEUBO)")
    return [_question(study, pair, why, asked + k) for k, pair in enumerate(found)]


def _best_of(study: Study, count: int, asked: Sequence[Question], options: int) -> list[Question]:
    """Return sets grown from the most telling pairs: what is compared with one is with all."""
    waiting: set[frozenset[int]] = set()
    seen = {question.trials for question in asked if is_planned(question)}
    why = _reason(study, "first look", "most to learn (qEUBO)")
    made: list[Question] = []
    for _ in range(count):
        chosen: dict[int, Trial] = {}
        for pair in study.next_comparisons(options * 2, waiting):
            for trial in pair:
                if len(chosen) < options:
                    chosen[trial.index] = trial
        if len(chosen) < 2 or frozenset(chosen) in seen:
            break
        waiting |= {frozenset((a, b)) for a in chosen for b in chosen if a < b}
        seen.add(frozenset(chosen))
        made.append(_question(study, tuple(chosen.values()), why, len(asked) + len(made)))
    return made


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


def _question(study: Study, trials: Sequence[Trial], reason: str, number: int) -> Question:
    """Show one image of each trial, all with the same seed and prompt."""
    rng = random.Random(f"image {study.settings.seed} {number}")
    place = rng.randrange(min(len(trial.images) for trial in trials))
    options = tuple(Option(trial.images[place], trial.index) for trial in trials)
    return Question(0, _kind(study), options, reason)


def _kind(study: Study) -> Kind:
    rating = study.settings.rating
    return "pairwise" if rating is None else rating.kind


def _reason(study: Study, first: str, then: str) -> str:
    return then if study.preferences else first


def _shown(trials: Collection[Trial]) -> list[Trial]:
    return [t for t in trials if t.images and t.status is not TrialStatus.FAILED]
