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
    rating, answered = settings.rating, ballots.standing(rater)
    questions = {question.id: question for question in ballots.questions()}
    number = _due_repeat(ballots, questions, answered, rater, rating.repeats)
    if number is None:
        number = _due_gold(questions, answered)
    if number is None:
        number = ballots.wanted(rater, rating.judgements, PATIENCE)
    if number is None:
        return None
    question = ballots.question(number)
    return ballots.task(ballots.assign(number, rater, _order(settings, ballots, question, rater)))


def _due_repeat(
    ballots: Ballots,
    questions: dict[int, Question],
    answered: Sequence[Standing],
    rater: int,
    share: float,
) -> int | None:
    """Return a question to ask again, if repeats lag behind their share of a rater's answers."""
    repeats = sum(_is_repeat(questions, one) for one in answered)
    if repeats + 1 > share * (len(answered) + 1):
        return None
    again = {questions[one.question].repeat_of for one in answered if one.question in questions}
    settled = answered[: len(answered) - DISTANCE]
    for one in settled:
        question = questions.get(one.question)
        if question is None or question.expected is not None or one.answer == SKIP:
            continue
        if question.repeat_of is None and question.id not in again:
            return ballots.add_repeat(question, rater)
    return None


def _is_repeat(questions: dict[int, Question], one: Standing) -> bool:
    question = questions.get(one.question)
    return question is not None and question.repeat_of is not None


def _due_gold(questions: dict[int, Question], answered: Sequence[Standing]) -> int | None:
    """Return a gold check that the rater has not seen, every few answers."""
    gold = [question.id for question in questions.values() if question.expected is not None]
    seen = {one.question for one in answered}
    done = len(seen & set(gold))
    new = [number for number in gold if number not in seen]
    return new[0] if new and len(answered) >= GOLD_EVERY * (done + 1) - GOLD_EVERY // 2 else None


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
