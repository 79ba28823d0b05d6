"""Which two trials a person should compare next."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from botorch.acquisition.preference import qExpectedUtilityOfBestOption
from botorch.sampling import SobolQMCNormalSampler

from fabricbo.best import worth_comparing
from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Trial

_DRAWS = 256
_LEADERS = 12
"""Trials whose pairs are looked at, those with the highest expected utility; and all that nobody
has judged yet."""


_PER_TRIAL = 2
"""Pairs chosen at once that a trial is in, at most: its comparisons tell much the same."""


@dataclass(frozen=True)
class Choice:
    """Among which trials pairs are chosen."""

    shown: Sequence[Trial]
    """At least two trials that have images."""
    count: int
    """How many pairs, at most."""
    waiting: frozenset[frozenset[int]] = frozenset()
    """Pairs that somebody is being asked about already, by index."""


def first_pairs(history: History, choice: Choice) -> list[tuple[int, int]]:
    """Return pairs where nothing is known: each trial with the next, then those further apart.

    Trials whose images break a bound come after all others.
    """
    for trials in (worth_comparing(choice.shown, history.measures), choice.shown):
        indices = [trial.index for trial in trials]
        spread = (pair for step in range(1, len(indices)) for pair in zip(indices, indices[step:]))  # noqa: B905
        if free := [pair for pair in spread if frozenset(pair) not in choice.waiting]:
            return free[: choice.count]
    return []


def next_pairs(surrogate: Surrogate, history: History, choice: Choice) -> list[tuple[int, int]]:
    """Return the pairs with the largest expected utility of the better one (qEUBO).

    A pair comes again only with other images of its trials; once all were shown, it comes last.
    Of one fit, a trial is in two pairs at most. Trials whose images break a bound come after all
    others: they cannot be the best, however much they please.

    Args:
        surrogate: fitted to what is known.
        history: what is known.
        choice: among which trials.
    """
    pairs = _candidates(surrogate, history, choice)
    if not pairs:
        return []
    worth = qExpectedUtilityOfBestOption(
        surrogate.models[0], sampler=SobolQMCNormalSampler(torch.Size([_DRAWS]), seed=history.seed)
    )
    rows = surrogate.rows([trial.action for pair in pairs for trial in pair])
    with torch.no_grad():
        values = worth(rows.reshape(len(pairs), 2, rows.shape[-1]))
    chosen: list[tuple[int, int]] = []
    used: Counter[int] = Counter()
    for number in values.argsort(descending=True, stable=True).tolist():
        pair = (pairs[number][0].index, pairs[number][1].index)
        if len(chosen) < choice.count and max(used[index] for index in pair) < _PER_TRIAL:
            chosen.append(pair)
            used.update(pair)
    return chosen


def _candidates(
    surrogate: Surrogate, history: History, choice: Choice
) -> list[tuple[Trial, Trial]]:
    """Return pairs of the leaders and of trials that nobody judged, with images to show if any."""
    asked = _times_asked(history)
    judged = {index for pair in asked for index in pair}
    free = list[tuple[Trial, Trial]]()
    for trials in (worth_comparing(choice.shown, history.measures), choice.shown):
        leaders = _leaders(surrogate, trials, judged)
        free = [p for p in combinations(leaders, 2) if _indices(p) not in choice.waiting]
        if fresh := [p for p in free if asked[_indices(p)] < _images(p)]:
            return fresh
    return free


def _times_asked(history: History) -> Mapping[frozenset[int], int]:
    """Return how often each pair was shown: several raters answer the same question."""
    answers = Counter(
        (frozenset((one.better, one.worse)), one.rater) for one in history.preferences
    )
    asked = Counter[frozenset[int]]()
    for (pair, _), count in answers.items():
        asked[pair] = max(asked[pair], count)
    return asked


def _leaders(surrogate: Surrogate, trials: Sequence[Trial], judged: Collection[int]) -> list[Trial]:
    means = surrogate.means(surrogate.rows([trial.action for trial in trials]))[:, 0]
    order = means.argsort(descending=True, stable=True).tolist()
    leaders = [trials[i] for i in order[:_LEADERS]]
    return leaders + [trials[i] for i in order[_LEADERS:] if trials[i].index not in judged]


def _images(pair: tuple[Trial, Trial]) -> int:
    """Return how many images a pair can be compared by."""
    return min(len(trial.images) for trial in pair)


def _indices(pair: tuple[Trial, Trial]) -> frozenset[int]:
    return frozenset((pair[0].index, pair[1].index))
