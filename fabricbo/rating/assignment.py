"""What a rater is asked next.

First what was put to the rater and not answered yet; then, every so often, a question they have
answered before, the other way round, or a gold check; else the question that most needs answers.
Which side an image is on is a matter of chance, fixed by study, question and rater.
"""

import random
from collections.abc import Sequence
from datetime import timedelta

from fabricbo.study.ballots import Ballots, Standing
from fabricbo.study.settings import StudySettings
from fabricbo.votes import SKIP, Question, Task

PATIENCE = timedelta(minutes=5)
"""How long a question that somebody was asked is not put to others."""
DISTANCE = 3
"""Answers between a question and its repeat, at least."""
GOLD_EVERY = 8
"""Answers from one gold check to the next."""


def next_task(ballots: Ballots, settings: StudySettings, rater: int) -> Task | None:
    """Return what to ask a rater now; None where nothing needs their answer."""
    if settings.rating is None or ballots.state != "open":
        return None
    waiting = ballots.open_task(rater)
    if waiting is not None:
        return waiting
    rating = settings.rating
    question = _due(ballots, settings, rater) or ballots.wanted(rater, rating.judgements, PATIENCE)
    if question is None:
        return None
    task = ballots.assign(question, rater, _order(settings, ballots, question, rater))
    # None: another question has just taken its place.
    return next_task(ballots, settings, rater) if task is None else task


def _due(ballots: Ballots, settings: StudySettings, rater: int) -> Question | None:
    """Return a repeat or a gold check, if it is time for one."""
    rating, number = settings.rating, None
    if rating is None:
        return None
    if rating.repeats or rating.gold:
        answered = ballots.standing(rater)
        number = _due_repeat(ballots, answered, rater, rating.repeats)
        if number is None and rating.gold:
            number = _due_gold(ballots.gold(), answered)
    return None if number is None else ballots.question(number)


def _due_repeat(
    ballots: Ballots, answered: Sequence[Standing], rater: int, share: float
) -> int | None:
    """Return a question to ask again, if repeats lag behind their share of a rater's answers."""
    again = {one.repeat_of for one in answered if one.repeat_of is not None}
    if len(again) + 1 > share * (len(answered) + 1):
        return None
    for one in answered[: max(len(answered) - DISTANCE, 0)]:
        fresh = one.repeat_of is None and one.question not in again
        if fresh and one.expected is None and one.answer != SKIP:
            return ballots.add_repeat(ballots.question(one.question), rater)
    return None


def _due_gold(gold: Sequence[int], answered: Sequence[Standing]) -> int | None:
    """Return a gold check that the rater has not seen, every few answers."""
    seen = {one.question for one in answered}
    new = [number for number in gold if number not in seen]
    due = GOLD_EVERY * (len(gold) - len(new)) + GOLD_EVERY // 2
    return new[0] if new and len(answered) >= due else None


def _order(
    settings: StudySettings, ballots: Ballots, question: Question, rater: int
) -> tuple[int, ...]:
    if question.repeat_of is not None:
        first = next(
            task for task in ballots.tasks_of(rater) if task.question.id == question.repeat_of
        )
        return first.order[::-1]
    order = list(range(len(question.options)))
    random.Random(f"order {settings.seed} {question.id} {rater}").shuffle(order)
    return tuple(order)
