"""Whether judgements can be trusted: agreement, consistency, leanings, haste."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from fabricbo.votes import SKIP, UNDO, Rater, Vote, counting

OPPOSITE = {"left": "right", "right": "left"}


@dataclass(frozen=True, slots=True)
class RaterRow:
    """How one rater judges."""

    rater: Rater
    answered: int
    skipped: int
    undone: int
    consistent: int
    """Repeats that were answered as the first time."""
    repeated: int
    gold_right: int
    """Gold checks in which the better image was chosen."""
    gold_asked: int
    left: int
    """Choices of the left image."""
    sided: int
    """Choices of the left or the right one."""
    seconds: float | None
    """Median time from when all images were shown to the answer; None without any."""


def rater_rows(raters: Sequence[Rater], votes: Sequence[Vote]) -> list[RaterRow]:
    """Return a row for each rater, excluded ones included."""
    stand = _standing(votes)
    return [_row(rater, stand, votes) for rater in raters]


def _row(rater: Rater, stand: Mapping[str, Vote], votes: Sequence[Vote]) -> RaterRow:
    mine = [vote for vote in stand.values() if vote.task.rater == rater.id]
    first = {vote.task.question.id: vote for vote in mine}
    repeats = [vote for vote in mine if vote.task.question.repeat_of in first]
    same = sum(_same(first[v.task.question.repeat_of or 0], v) for v in repeats)
    gold = [vote for vote in mine if vote.task.question.expected is not None]
    sides = Counter(vote.answer for vote in mine)
    times = [vote.seconds for vote in mine if vote.seconds is not None]
    return RaterRow(
        rater=rater,
        answered=sum(vote.answer != SKIP for vote in mine),
        skipped=sides[SKIP],
        undone=sum(v.answer == UNDO for v in votes if v.task.rater == rater.id),
        consistent=same,
        repeated=len(repeats),
        gold_right=sum(chosen(vote) == vote.task.question.expected for vote in gold),
        gold_asked=len(gold),
        left=sides["left"],
        sided=sides["left"] + sides["right"],
        seconds=median(times) if times else None,
    )


def _standing(votes: Sequence[Vote]) -> dict[str, Vote]:
    last = {vote.task.id: vote for vote in votes}
    return {task: vote for task, vote in last.items() if vote.answer != UNDO}


def chosen(vote: Vote) -> int | str:
    """Return the option that a vote is for, wherever it was shown; else the answer itself."""
    if vote.answer in OPPOSITE:
        return vote.task.order[0 if vote.answer == "left" else 1]
    if vote.task.question.kind == "best-of" and vote.answer.isdigit():
        return vote.task.order[int(vote.answer) - 1]
    if vote.task.question.kind == "like" and vote.answer != SKIP:
        by_option = zip(vote.task.order, vote.answer.split(","), strict=True)
        return ",".join(verdict for _, verdict in sorted(by_option))
    return vote.answer


def _same(first: Vote, again: Vote) -> bool:
    return chosen(first) == chosen(again)


@dataclass(frozen=True, slots=True)
class Summary:
    """All raters together, without those that are excluded."""

    votes: int
    alpha: float | None
    """Krippendorff's alpha; None where no question was answered by two raters."""


def summary(raters: Sequence[Rater], votes: Sequence[Vote]) -> Summary:
    """Return how far raters agree."""
    excluded = frozenset(rater.id for rater in raters if rater.excluded)
    counted = [v for v in counting(votes, excluded) if v.task.question.repeat_of is None]
    units: dict[int, dict[int, int | str]] = defaultdict(dict)
    for vote in counted:
        units[vote.task.question.id][vote.task.rater] = chosen(vote)
    ordinal = bool(counted) and counted[0].task.question.kind == "stars"
    return Summary(len(counted), alpha([list(one.values()) for one in units.values()], ordinal))


def alpha(units: Sequence[Sequence[int | str]], numbers: bool = False) -> float | None:
    """Return Krippendorff's alpha: 1 is full agreement, 0 what chance gives.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): one less the disagreement
    seen over that expected by chance, from coincidences of values within a unit. Categories either
    agree or not; numbers (stars) disagree by the square of their difference.

    Args:
        units: what each question was answered; those with a single answer do not count.
        numbers: whether answers are numbers.

    Returns:
        None where nothing was answered twice, or all gave one and the same answer to everything.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    values = [value for unit in pairable for value in unit]
    if not values:
        return None

    def apart(a: int | str, b: int | str) -> float:
        return (float(a) - float(b)) ** 2 if numbers else float(a != b)

    seen = sum(
        2 * apart(a, b) / (len(unit) - 1) for unit in pairable for a, b in combinations(unit, 2)
    ) / len(values)
    counts = Counter(values)
    expected = sum(
        count * other * apart(a, b) for a, count in counts.items() for b, other in counts.items()
    ) / (len(values) * (len(values) - 1))
    return None if expected == 0 else 1 - seen / expected
