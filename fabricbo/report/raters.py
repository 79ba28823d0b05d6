"""Of studies that people rate: who judged, how consistently, and how far they agree."""

from collections.abc import Sequence
from dataclasses import dataclass

from fabricbo.raters import RaterRow, rater_rows, summary
from fabricbo.report.wording import counted
from fabricbo.study import Study


@dataclass(frozen=True)
class RaterLine:
    """A rater, without a name."""

    answered: int
    skipped: int
    again: str
    gold: str
    left: str
    seconds: str
    excluded: bool


@dataclass(frozen=True)
class Raters:
    """All of them."""

    text: str
    """In words."""
    rows: Sequence[RaterLine]


def raters(study: Study) -> Raters | None:
    """Return how people judged; None where nobody was asked."""
    if study.settings.rating is None:
        return None
    people, votes = study.ballots.raters(), study.ballots.votes()
    rows = [row for row in rater_rows(people, votes) if row.answered or row.skipped]
    if not rows:
        return None
    found = summary(people, votes)
    text = f"{counted(len(rows), 'rater')}, {counted(found.votes, 'vote')} that count. "
    return Raters(text + _agreement(found.alpha), [_line(row) for row in rows])


def _agreement(alpha: float | None) -> str:
    """Say what Krippendorff's alpha means; the words follow his own limits, 0.8 and 0.667."""
    if alpha is None:
        return "Whether they agree is not known: no question has answers of two raters."
    if alpha >= 0.8:
        said = "they agree well"
    elif alpha >= 0.667:
        said = "they agree for the most part"
    elif alpha > 0:
        said = "they agree a little; tastes, or care, differ"
    else:
        said = "they agree no more than chance would have it"
    return f"Where two answered the same question {said} (Krippendorff\u2019s alpha {alpha:.2f})."


def _line(row: RaterRow) -> RaterLine:
    return RaterLine(
        answered=row.answered,
        skipped=row.skipped,
        again=_of(row.consistent, row.repeated),
        gold=_of(row.gold_right, row.gold_asked),
        left=_of(row.left, row.sided),
        seconds="" if row.seconds is None else f"{row.seconds:.1f}",
        excluded=row.rater.excluded,
    )


def _of(some: int, all_: int) -> str:
    return f"{some} of {all_}" if all_ else "-"
