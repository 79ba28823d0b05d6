"""The directions that the paper reports in figures, as claims that can turn out yes or no."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.paper.curves import Interval, Outcomes, bootstrap, difference, values


@dataclass(frozen=True)
class Direction:
    """That one system has more of a measure than another, in the last round or in all from 2 on."""

    claim: str
    measure: str
    one: str
    other: str
    more: bool = True
    every_round: bool = False
    """Whether it is claimed of every round from the second on, in place of the last alone."""


@dataclass(frozen=True)
class Verdict:
    """What came of a claim."""

    claim: str
    round: int
    difference: Interval
    answer: str
    """`yes`, `no`, or `not distinguishable` where the interval holds 0."""


DIRECTIONS: tuple[Direction, ...] = (
    Direction("FABRIC scores above the baseline", "score", "fabric", "sd", every_round=True),
    Direction(
        "FABRIC's best image of a round scores above the baseline's", "score_max", "fabric", "sd"
    ),
    Direction(
        "FABRIC's worst image of a round scores above the baseline's", "score_min", "fabric", "sd"
    ),
    Direction(
        "the judge, who chooses nothing, sees FABRIC above the baseline", "judge", "fabric", "sd"
    ),
    Direction("HPS LoRA scores above the baseline", "score", "sd-lora", "sd"),
    Direction("FABRIC + HPS LoRA scores above FABRIC", "score", "fabric-lora", "fabric"),
    Direction("FABRIC + HPS LoRA scores above HPS LoRA", "score", "fabric-lora", "sd-lora"),
    Direction("similarity to liked images is up", "liked", "fabric", "sd", every_round=True),
    Direction(
        "similarity to disliked images is down",
        *("disliked", "fabric", "sd"),
        more=False,
        every_round=True,
    ),
    Direction("liked and disliked score above liked alone", "score", "fabric", "fabric-liked"),
    Direction(
        "feedback in the first half scores above feedback in all steps",
        *("score", "fabric-first-half", "fabric-all-steps"),
    ),
    Direction(
        "feedback in the second half scores below feedback in all steps",
        *("score", "fabric-second-half", "fabric-all-steps"),
        more=False,
    ),
    Direction("diversity is down", "diversity", "fabric", "sd", more=False),
    Direction("dropout 0.3 raises diversity", "diversity", "fabric-dropout", "fabric"),
)
"""Of the paper."""

RIVALS: tuple[Direction, ...] = (
    Direction("settings found score above hand settings", "score", "fabric-found", "fabric"),
    Direction(
        "settings found score above hand settings, with HPS LoRA",
        "score",
        "fabric-lora-found",
        "fabric-lora",
    ),
    Direction(
        "the judge sees settings found above hand settings", "judge", "fabric-found", "fabric"
    ),
    Direction(
        "FABRIC's best image so far scores above the best of N", "best", "fabric", "best-of-n"
    ),
    Direction(
        "FABRIC's best image so far, settings found, scores above the best of N",
        *("best", "fabric-found", "best-of-n"),
    ),
    Direction(
        "the judge sees FABRIC's best image so far above the best of N",
        *("judge_best", "fabric", "best-of-n"),
    ),
    Direction(
        "the judge sees FABRIC's best image so far, settings found, above the best of N",
        *("judge_best", "fabric-found", "best-of-n"),
    ),
)
"""Not of the paper: settings that fabricbo found, and as many plain images as cost the same."""


def check(outcomes: Outcomes, directions: Sequence[Direction]) -> list[Verdict]:
    """Return the verdicts on all claims whose systems were played."""
    verdicts = []
    for direction in directions:
        if direction.one in outcomes and direction.other in outcomes:
            verdicts += _verdicts(outcomes, direction)
    return verdicts


def _verdicts(outcomes: Outcomes, direction: Direction) -> list[Verdict]:
    found = difference(outcomes, direction.measure, direction.one, direction.other)
    last = len(found) - 1
    rounds = range(1, last + 1) if direction.every_round else (last,)
    return [
        Verdict(direction.claim, number + 1, interval, _answer(interval, more=direction.more))
        for number in rounds
        if (interval := found[number]) is not None
    ]


def diversity_by_round(outcomes: Outcomes, system: str = "fabric") -> Verdict | None:
    """Return whether a system's diversity falls from its first round to its last."""
    if system not in outcomes:
        return None
    found = values(outcomes[system], "diversity")
    interval = bootstrap(found[:, -1] - found[:, 0])
    claim = "diversity falls from the first round to the last"
    return Verdict(claim, found.shape[1], interval, _answer(interval, more=False))


def _answer(interval: Interval, *, more: bool) -> str:
    if interval.low <= 0 <= interval.high:
        return "not distinguishable"
    return "yes" if (interval.low > 0) == more else "no"


def table(verdicts: Sequence[Verdict]) -> str:
    """Write verdicts as a Markdown table."""
    lines = ["| claim | round | difference (95 % interval) | |", "|---|---|---|---|"]
    lines += [f"| {v.claim} | {v.round} | {v.difference} | {v.answer} |" for v in verdicts]
    return "\n".join(lines)
