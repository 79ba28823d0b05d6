"""Settings found by fabricbo: a search over FABRIC's own knobs on prompts that nobody reports.

What varies is when feedback acts and how strongly; guidance, steps and images stay as under the
hand settings, and the window ends where theirs does at the latest, so that what is found never
takes more U-Net evaluations than they do. A trial plays all rounds of all tuning tasks; its score
is the mean of the selecting score over the images of the last round.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from experiments.paper.results import RoundResult, append_line, read_rows
from fabricbo.imagefiles import pixel_hash
from fabricbo.protocols import History, Proposer
from fabricbo.records import Action, FabricParams, Reference, Role, Trial, TrialStatus
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range

Rounds = Sequence[RoundResult]


@dataclass(frozen=True)
class Tried:
    """One trial of the search."""

    key: str
    """Of all that the search depends on."""
    params: FabricParams
    source: str
    values: tuple[float, ...]
    """Mean score of the last round, by tuning task."""
    evaluations: int
    """Of the U-Net, in all tasks."""

    @property
    def mean(self) -> float:
        """Over the tasks."""
        return sum(self.values) / len(self.values)


def space(hand: FabricParams) -> ActionSpace:
    """Return what is searched; not roles, as the protocol decides who is liked and disliked."""
    domains = {
        "feedback_start": Range(0.0, hand.feedback_end),
        "feedback_end": Range(0.0, hand.feedback_end),
        "max_weight": Range(0.0, 1.5),
        "neg_scale": Range(0.0, 1.5),
    }
    return ActionSpace(domains, hand=hand, roles=False)


def search(
    proposer: Proposer,
    measure: Callable[[FabricParams], list[Rounds]],
    where: ActionSpace,
    *,
    trials: int,
    file: Path,
    key: str,
) -> list[Tried]:
    """Try so many settings, those in the file included; the hand settings are the first.

    Args:
        proposer: who picks.
        measure: plays the tuning tasks with some settings.
        where: what may be tried.
        trials: how many.
        file: where trials are kept.
        key: of what the trials depend on; others in the file are left alone.
    """
    tried = kept_trials(file, key)[:trials]
    while len(tried) < trials:
        told = tuple(_trial(i, one) for i, one in enumerate(tried))
        history = History(where, _stand_ins(), told, "maximize", seed=0, seeds=(0,))
        proposal = proposer.propose(history)
        params = _rounded(proposal.action.params)
        played = measure(params)
        values = (rounds[-1].scores for rounds in played)
        one = Tried(
            key,
            params,
            proposal.source,
            tuple(round(sum(scores) / len(scores), 5) for scores in values),
            sum(rounds[-1].evaluations for rounds in played),
        )
        append_line(file, json.dumps(_to_json(one)))
        tried.append(one)
    return tried


def best(tried: Sequence[Tried]) -> Tried:
    """Return the trial with the best mean: all of them met the same tasks and seeds."""
    return max(tried, key=lambda one: one.mean)


def kept_trials(file: Path, key: str) -> list[Tried]:
    """Return the trials in a file that belong to a key."""
    rows = [row for row in read_rows(file) if row["key"] == key]
    return [
        Tried(
            key,
            FabricParams.from_json(row["params"]),
            row["source"],
            tuple(row["values"]),
            row["evaluations"],
        )
        for row in rows
    ]


def _rounded(params: FabricParams) -> FabricParams:
    """Return settings as the file holds them, so that going on is the same as going through."""
    return FabricParams.from_json({n: round(v, 4) for n, v in params.to_json().items()})


def _to_json(one: Tried) -> dict[str, object]:
    return {**vars(one), "params": one.params.to_json(), "values": list(one.values)}


def _trial(index: int, one: Tried) -> Trial:
    liked, disliked = _stand_ins()
    action = Action(one.params, (liked,), (disliked,))
    done = TrialStatus.DONE
    return Trial(index, 1, action, one.source, (0,), done, Score(one.values))


def _stand_ins() -> tuple[Reference, Reference]:
    """Return a liked and a disliked reference that stand for whatever a round will choose.

    The surrogate counts settings through the references that they act on.
    """
    made = []
    for colour, role in (("white", Role.LIKED), ("black", Role.DISLIKED)):
        image = Image.new("RGB", (8, 8), colour)
        made.append(Reference(pixel_hash(image), role.value, image, role))
    return made[0], made[1]
