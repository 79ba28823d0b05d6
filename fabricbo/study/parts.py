"""What a study works with; it never makes any of it itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fabricbo.executors import Executor, Tools
from fabricbo.protocols import Logger, Objective, Proposer, Sampler
from fabricbo.scoring import asks_for_baseline, declaration

MakeExecutor = Callable[[Tools], Executor]


@dataclass(frozen=True)
class Parts:
    """What a study works with. It never makes them itself."""

    proposer: Proposer
    sampler: Sampler
    objective: Objective | Mapping[str, Objective] | None
    """What scores: one, several by name, or nothing where people judge."""
    reporters: Mapping[str, Objective] = field(default_factory=dict)
    """What scores baseline and best only, by name; the search never sees it."""
    executor: MakeExecutor | None = None
    """Makes what draws and scores; None: this process, one trial after the other."""

    loggers: Mapping[str, Logger] = field(default_factory=dict)
    """Who is told what becomes of the study, by names that stay the same when it is resumed."""

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """What scores, by name; a single one by the name that it declares."""
        return objectives_by_name(self.objective)

    @property
    def compare_with_hand(self) -> bool:
        """Whether an objective, or one that reports, asks for what the hand settings drew."""
        everyone = (*self.objectives.values(), *self.reporters.values())
        return any(asks_for_baseline(one) for one in everyone)

    @property
    def tools(self) -> Tools:
        """What is drawn and scored with."""
        return Tools(self.sampler, self.objectives, self.reporters)


def objectives_by_name(
    objective: Objective | Mapping[str, Objective] | None,
) -> Mapping[str, Objective]:
    """Return one objective by the name that it declares, several as they are."""
    if objective is None:
        return {}
    if isinstance(objective, Mapping):
        return objective
    return {declaration(objective).name: objective}
