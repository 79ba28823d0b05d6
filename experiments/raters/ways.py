"""Ways to find out what somebody likes: what is drawn, and what is asked about it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from fabricbo.assessment import Assessment
from fabricbo.proposers.ax_proposer import AxProposer
from fabricbo.proposers.baselines import HandProposer, SobolProposer, random_generator
from fabricbo.proposers.embeddings import Embed
from fabricbo.protocols import History, Proposal, Proposer
from fabricbo.study import Study

Outcome = Callable[[Study], int]
"""The index of the trial that a way has come to."""


@dataclass(frozen=True)
class Way:
    """A study, but for what is drawn."""

    proposer: Callable[[Embed | None], Proposer]
    settings: Mapping[str, Any]
    """Of the study."""
    judgements: int = 1
    """That an answer to a question costs."""
    outcome: Outcome = field(default=lambda study: _assessed(study))
    references: bool = True
    """Whether it starts with references."""


class RandomPairs:
    """Has pairs compared at random; actions are those of another proposer."""

    def __init__(self, actions: Proposer, embed: Embed | None) -> None:
        """Take who proposes actions; what the answers come to is said by our surrogate."""
        self._actions, self._assessor = actions, AxProposer(embed=embed)

    def propose(self, history: History, /) -> Proposal:
        """Return the other proposer's action."""
        return self._actions.propose(history)

    def assess(self, history: History, /) -> Assessment:
        """Return what our surrogate makes of the answers."""
        return self._assessor.assess(history)

    def compare(
        self, history: History, count: int, waiting: Collection[frozenset[int]], /
    ) -> list[tuple[int, int]]:
        """Return pairs that nobody compared, drawn by lot."""
        shown = [t.index for t in history.trials if t.images and not t.status.is_lost]
        asked = {frozenset((p.better, p.worse)) for p in history.preferences} | {*waiting}
        free = [pair for pair in combinations(shown, 2) if frozenset(pair) not in asked]
        order = random_generator(history).permutation(len(free))
        return [free[i] for i in order[:count]]


def _assessed(study: Study) -> int:
    """Return what the surrogate expects to be liked most, as `fabricbo show` says it."""
    study.assess()
    found = study.best()
    return 0 if found is None else found.index


def _last(study: Study) -> int:
    """Return the last trial: with the hand settings it has heard all that was said."""
    return max(trial.index for trial in study.trials if trial.images)


_ROUND = {"trials": 6, "images": 4}
WAYS: Mapping[str, Way] = {
    "fabricbo": Way(lambda embed: AxProposer(embed=embed), _ROUND),
    "random pairs": Way(lambda embed: RandomPairs(AxProposer(embed=embed), embed), _ROUND),
    "random pairs of Sobol points": Way(lambda embed: RandomPairs(SobolProposer(), embed), _ROUND),
    "stars": Way(lambda embed: AxProposer(embed=embed), {**_ROUND, "rating": {"kind": "stars"}}),
    "likes": Way(
        lambda embed: AxProposer(embed=embed), {**_ROUND, "rating": {"kind": "like"}}, judgements=4
    ),
    "plain FABRIC": Way(
        lambda _: HandProposer(),
        {
            "trials": 1,
            "images": 4,
            "rating": {"kind": "like", "ahead": 1},
            "pool": {"grow_liked": 4, "grow_disliked": 4},
        },
        judgements=4,
        outcome=_last,
        references=False,
    ),
}
"""By name. `plain FABRIC` is the paper's loop: hand settings, no references at first, and each
round's likes and dislikes join them."""
