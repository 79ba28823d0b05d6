"""What people are asked, what they answer, and what that says about trials."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from fabricbo.scores import Preference

Kind = Literal["pairwise", "best-of", "like", "stars"]

SKIP = "skip"
UNDO = "undo"
"""A vote that takes back the one before it; nothing is ever deleted."""
PAIR_ANSWERS = ("left", "right", "tie", "both-bad", SKIP)
STARS = ("1", "2", "3", "4", "5")
VERDICTS = ("liked", "neither", "disliked")


@dataclass(frozen=True, slots=True)
class Option:
    """One image that a question shows."""

    image: str
    """Identity in the image store."""
    trial: int | None
    """Which trial drew it; None for an image of the owner's, in a gold check."""


@dataclass(frozen=True, slots=True)
class Question:
    """What may be put to several raters."""

    id: int
    kind: Kind
    options: tuple[Option, ...]
    reason: str
    """Why it is asked, for the owner's eyes."""
    repeat_of: int | None = None
    """The question that it asks again, to see whether a rater is of one mind."""
    only_for: int | None = None
    """The rater whom it asks again."""
    expected: int | None = None
    """In a gold check: the option that somebody who looks must choose."""

    @property
    def trials(self) -> frozenset[int]:
        """The trials whose images it shows."""
        return frozenset(option.trial for option in self.options if option.trial is not None)


@dataclass(frozen=True, slots=True)
class Task:
    """A question put to one rater, in an order of its own."""

    id: str
    """Opaque; 128 random bits."""
    question: Question
    rater: int
    order: tuple[int, ...]
    """Which option is shown at each place, from the left."""

    @property
    def shown(self) -> tuple[Option, ...]:
        """The options in the order in which they are shown."""
        return tuple(self.question.options[i] for i in self.order)


@dataclass(frozen=True, slots=True)
class Vote:
    """A rater's answer to a task; the last one of a task counts."""

    id: int
    task: Task
    answer: str
    """One of `answers`."""
    seconds: float | None = None
    """From when all images were shown to the answer; None where nobody measured."""
    created: datetime | None = None
    """When it was stored."""


@dataclass(frozen=True, slots=True)
class Rater:
    """Somebody who judges."""

    id: int
    name: str
    excluded: bool = False
    """Whether the owner left this rater's votes out; they are kept, and this can be taken back."""


def answers(kind: Kind, options: int) -> tuple[str, ...] | None:
    """Return what may be answered to a question; None where it is a verdict on each image."""
    if kind == "pairwise":
        return PAIR_ANSWERS
    if kind == "stars":
        return (*STARS, SKIP)
    if kind == "best-of":
        return (*(str(place) for place in range(1, options + 1)), SKIP)
    return None


def check_answer(task: Task, answer: str) -> None:
    """Check an answer.

    Raises:
        ValueError: it is none to this task.
    """
    question = task.question
    allowed = answers(question.kind, len(question.options))
    if answer == UNDO:
        return
    if allowed is None:
        given = answer.split(",")
        if answer == SKIP or (
            len(given) == len(question.options) and all(one in VERDICTS for one in given)
        ):
            return
        raise ValueError(f"answer must be one of {', '.join(VERDICTS)} for each image")
    if answer not in allowed:
        raise ValueError(f"answer must be one of {', '.join(allowed)}, got {answer[:40]!r}")


def counting(votes: Sequence[Vote], excluded: frozenset[int] = frozenset()) -> list[Vote]:
    """Return the last vote of each task, where it says something, without excluded raters."""
    last = {vote.task.id: vote for vote in votes}
    return [
        vote
        for vote in last.values()
        if vote.answer not in (UNDO, SKIP) and vote.task.rater not in excluded
    ]


def preferences(votes: Sequence[Vote]) -> list[Preference]:
    """Return what counting votes say about trials, pair by pair.

    Likes and stars of different people are not on one scale: they are compared within a rater.
    """
    found = [one for vote in votes for one in _said(vote)]
    graded: dict[int, dict[int, list[float]]] = {}
    for vote in votes:
        grade = _grade(vote)
        trial = vote.task.question.options[0].trial
        if grade is not None and trial is not None:
            graded.setdefault(vote.task.rater, {}).setdefault(trial, []).append(grade)
    return [*found, *(one for rater, given in graded.items() for one in _ranked(rater, given))]


def _said(vote: Vote) -> Iterator[Preference]:
    """Return the comparisons that a pairwise or best-of vote makes."""
    shown, kind = [option.trial for option in vote.task.shown], vote.task.question.kind
    if kind == "pairwise":
        left, right = shown
        if left is None or right is None or left == right:
            return
        better, worse = (right, left) if vote.answer == "right" else (left, right)
        tie = vote.answer in ("tie", "both-bad")
        yield Preference(better, worse, tie, vote.task.rater, left)
    elif kind == "best-of":
        winner = shown[int(vote.answer) - 1]
        for other in shown:
            if winner is not None and other is not None and other != winner:
                yield Preference(winner, other, rater=vote.task.rater)


def _grade(vote: Vote) -> float | None:
    kind = vote.task.question.kind
    if kind == "stars":
        return float(vote.answer)
    if kind == "like":
        given = vote.answer.split(",")
        return (given.count("liked") - given.count("disliked")) / len(given)
    return None


def _ranked(rater: int, graded: Mapping[int, Sequence[float]]) -> Iterator[Preference]:
    """Compare each trial with one of the next lower grade and one of the next higher.

    And with the next of the same grade, which is as good. A chain through all of them would say
    less: of a hundred trials with five grades it would have four that are better than another.
    """
    levels: dict[float, list[int]] = {}
    for trial, grades in sorted(graded.items()):
        levels.setdefault(sum(grades) / len(grades), []).append(trial)
    ranked = [levels[grade] for grade in sorted(levels, reverse=True)]
    for higher, lower in pairwise(ranked):
        for k in range(max(len(higher), len(lower))):
            better, worse = higher[k % len(higher)], lower[k % len(lower)]
            yield Preference(better, worse, rater=rater)
    for level in ranked:
        for one, other in pairwise(level):
            yield Preference(one, other, tie=True, rater=rater)


def verdicts(votes: Sequence[Vote]) -> dict[str, int]:
    """Return how often an image was liked, less how often it was disliked, by its identity.

    A choice among several likes the one that was chosen; "both bad" dislikes both.
    """
    found: dict[str, int] = {}
    for vote in votes:
        for option, verdict in zip(vote.task.shown, _verdicts(vote), strict=True):
            if option.trial is not None:
                found[option.image] = found.get(option.image, 0) + verdict
    return found


def _verdicts(vote: Vote) -> list[int]:
    """Return 1, 0 or -1 for each image shown."""
    kind, count = vote.task.question.kind, len(vote.task.order)
    if kind == "pairwise":
        values = {"left": [1, 0], "right": [0, 1], "both-bad": [-1, -1]}
        return values.get(vote.answer, [0, 0])
    if kind == "best-of":
        return [int(place == int(vote.answer)) for place in range(1, count + 1)]
    if kind == "stars":
        return [(int(vote.answer) > 3) - (int(vote.answer) < 3)] * count
    return [(one == "liked") - (one == "disliked") for one in vote.answer.split(",")]
