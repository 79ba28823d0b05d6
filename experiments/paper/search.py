"""Settings found by fabricbo: a search over FABRIC's own knobs on prompts that nobody reports.

What varies is when feedback acts and how strongly; guidance, steps and images stay as under the
hand settings, and the window ends where theirs does at the latest, so that what is found never
takes more U-Net evaluations than they do. A trial plays all rounds of all tuning tasks; its score
is the mean of the selecting score over the images of all rounds with feedback.

Prompts differ in score far more than settings do, so the surrogate is told by how much each prompt
scores above the hand settings, which are the first trial; and what it expects of the trials, not
the best of their noisy means, decides which settings count as found.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.kept_lines import append_line, read_rows
from experiments.paper.results import RoundResult
from fabricbo.imagefiles import pixel_hash
from fabricbo.protocols import Assessor, History, Proposer
from fabricbo.records import Action, FabricParams, Reference, Role, Trial, TrialStatus
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range

Rounds = Sequence[RoundResult]
Measure = Callable[[FabricParams], list[Rounds]]
"""Plays the tuning tasks with some settings."""


@dataclass(frozen=True)
class Tried:
    """One trial of the search."""

    params: FabricParams
    source: str
    values: tuple[float, ...]
    """Mean score of the rounds with feedback, by tuning task."""
    evaluations: int
    """Of the U-Net, in all tasks."""

    @property
    def mean(self) -> float:
        """Over the tasks."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True)
class Found:
    """A search that has come to its end."""

    trials: tuple[Tried, ...]
    """The hand settings are the first."""
    chosen: int
    """Which trial's settings count as found."""
    expected: float
    """By how much they should score above the hand settings."""
    standard_error: float

    @property
    def params(self) -> FabricParams:
        """The settings."""
        return self.trials[self.chosen].params

    @property
    def evaluations(self) -> int:
        """That the whole search took."""
        return sum(one.evaluations for one in self.trials)


def space(hand: FabricParams) -> ActionSpace:
    """Return what is searched; not roles, as the protocol decides who is liked and disliked."""
    domains = {
        "feedback_start": Range(0.0, hand.feedback_end),
        "feedback_end": Range(0.0, hand.feedback_end),
        "max_weight": Range(0.0, 1.5),
        "neg_scale": Range(0.0, 1.5),
    }
    return ActionSpace(domains, hand=hand, roles=False)


class SearchFile:
    """Trials and ends of searches as JSON lines, each under the key of what it depends on."""

    def __init__(self, file: Path, key: str) -> None:
        """Look at one key's lines; others are left alone."""
        self._file, self._key = file, key

    def trials(self) -> list[Tried]:
        """Return the trials so far."""
        return [
            Tried(
                FabricParams.from_json(row["params"]),
                row["source"],
                tuple(row["values"]),
                row["evaluations"],
            )
            for row in self._rows("params")
        ]

    def found(self, trials: int) -> Found | None:
        """Return the end of the search of so many trials, or None where it has none yet."""
        for row in self._rows("chosen"):
            if row["trials"] == trials:
                kept = tuple(self.trials()[:trials])
                return Found(kept, row["chosen"], row["expected"], row["standard_error"])
        return None

    def add(self, one: Tried) -> None:
        """Keep a trial."""
        row = {**vars(one), "params": one.params.to_json(), "values": list(one.values)}
        append_line(self._file, json.dumps({"key": self._key, **row}))

    def end(self, found: Found) -> None:
        """Keep what was chosen."""
        row = {**vars(found), "trials": len(found.trials)}
        append_line(self._file, json.dumps({"key": self._key, **row}))

    def _rows(self, with_field: str) -> list[dict[str, Any]]:
        rows = read_rows(self._file)
        return [row for row in rows if row["key"] == self._key and with_field in row]


def search(
    proposer: Proposer, measure: Measure, where: ActionSpace, trials: int, file: SearchFile
) -> Found:
    """Try so many settings, those in the file included, and choose."""
    known = file.found(trials)
    if known is not None:
        return known
    tried = file.trials()[:trials]
    while len(tried) < trials:
        proposal = proposer.propose(_history(where, tried))
        params = _rounded(proposal.action.params)
        one = _tried(params, proposal.source, measure(params))
        file.add(one)
        tried.append(one)
    found = _choose(proposer, where, tried)
    file.end(found)
    return found


def _tried(params: FabricParams, source: str, played: list[Rounds]) -> Tried:
    values = []
    for rounds in played:
        scores = [score for one in rounds[1:] or rounds for score in one.scores]
        values.append(round(sum(scores) / len(scores), 5))
    evaluations = sum(rounds[-1].evaluations for rounds in played)
    return Tried(params, source, tuple(values), evaluations)


def _choose(proposer: Proposer, where: ActionSpace, tried: Sequence[Tried]) -> Found:
    """Choose the trial of which most is expected; without a surrogate, by its mean."""
    gains = [one.mean - tried[0].mean for one in tried]
    expected = [(gain, 0.0) for gain in gains]
    if isinstance(proposer, Assessor):
        estimates = proposer.assess(_history(where, tried)).estimates
        expected = [
            (estimates[i][0].mean, estimates[i][0].standard_error) if i in estimates else pair
            for i, pair in enumerate(expected)
        ]
    chosen = max(range(len(tried)), key=lambda i: expected[i][0])
    gain, error = expected[chosen]
    return Found(tuple(tried), chosen, round(gain, 4), round(error, 4))


def _history(where: ActionSpace, tried: Sequence[Tried]) -> History:
    liked, disliked = _stand_ins()
    told = []
    for index, one in enumerate(tried):
        action = Action(one.params, (liked,), (disliked,))
        gains = [v - hand for v, hand in zip(one.values, tried[0].values, strict=True)]
        score = Score(tuple(gains))
        done = TrialStatus.DONE
        told.append(Trial(index, 1, action, one.source, (0,), done, score))
    return History(where, (liked, disliked), tuple(told), "maximize", seed=0, seeds=(0,))


def _rounded(params: FabricParams) -> FabricParams:
    """Return settings as the file holds them, so that going on is the same as going through."""
    return FabricParams.from_json({n: round(v, 4) for n, v in params.to_json().items()})


def _stand_ins() -> tuple[Reference, Reference]:
    """Return a liked and a disliked reference that stand for whatever a round will choose.

    The surrogate counts settings through the references that they act on.
    """
    made = []
    for colour, role in (("white", Role.LIKED), ("black", Role.DISLIKED)):
        image = Image.new("RGB", (8, 8), colour)
        made.append(Reference(pixel_hash(image), role.value, image, role))
    return made[0], made[1]
