"""Which two trials a person should compare next."""

from collections.abc import Sequence
from itertools import combinations

import torch
from botorch.acquisition.preference import qExpectedUtilityOfBestOption
from botorch.sampling import SobolQMCNormalSampler

from fabricbo.proposers.surrogate import Surrogate
from fabricbo.protocols import History
from fabricbo.records import Trial

_DRAWS = 256
_LEADERS = 12
"""Trials whose pairs are looked at, those with the highest expected utility; and all that nobody
has judged yet."""


def next_pair(surrogate: Surrogate, history: History, shown: Sequence[Trial]) -> tuple[int, int]:
    """Return the pair with the largest expected utility of the better one (qEUBO).

    Pairs that were judged come last: asked again, a person tells little.

    Args:
        surrogate: fitted to what is known.
        history: what is known.
        shown: at least two trials that have images.
    """
    asked = {frozenset((one.better, one.worse)) for one in history.preferences}
    judged = {index for pair in asked for index in pair}
    means = surrogate.means(surrogate.rows([trial.action for trial in shown]))[:, 0]
    order = means.argsort(descending=True, stable=True).tolist()
    leaders = [shown[i] for i in order[:_LEADERS]]
    leaders += [shown[i] for i in order[_LEADERS:] if shown[i].index not in judged]
    pairs = list(combinations(leaders, 2))
    pairs = [p for p in pairs if frozenset((p[0].index, p[1].index)) not in asked] or pairs
    worth = qExpectedUtilityOfBestOption(
        surrogate.model, sampler=SobolQMCNormalSampler(torch.Size([_DRAWS]), seed=history.seed)
    )
    actions = [trial.action for pair in pairs for trial in pair]
    rows = surrogate.rows(actions)
    with torch.no_grad():
        values = worth(rows.reshape(len(pairs), 2, rows.shape[-1]))
    one, other = pairs[int(values.argmax())]
    return one.index, other.index
