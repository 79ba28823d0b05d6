"""How far the rating of a study is: for raters, for its owner, and for the worker."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fabricbo.rating.questions import planned
from fabricbo.study.ballots import Ballots, Standing
from fabricbo.study.settings import StudySettings
from fabricbo.votes import SKIP, Question


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of questions."""

    answered: int
    """Questions of the plan that have all the judgements they need."""
    waiting: int
    """Questions that are ready and need somebody."""
    planned: int
    """Questions that the study will ask in all."""

    @property
    def done(self) -> bool:
        """Whether all that was planned has been answered."""
        return self.answered >= self.planned


def progress(ballots: Ballots, settings: StudySettings) -> Progress:
    """Return how far the rating is."""
    standing, answered = ballots.counts(judgements(settings))
    return Progress(answered, standing - answered, planned(settings))


def judgements(settings: StudySettings) -> int:
    """Return how many raters each question needs."""
    return 1 if settings.rating is None else settings.rating.judgements


def unanswered(
    questions: Sequence[Question], answers: Sequence[Standing], needed: int
) -> list[Question]:
    """Return the questions that need more judgements; a skip is none."""
    given = Counter(one.question for one in answers if one.answer != SKIP)
    return [question for question in questions if given[question.id] < needed]
