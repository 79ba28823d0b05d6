"""A project that uses the public names: an objective, a proposer, a logger, a study."""

from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image

import fabricbo
from fabricbo import (
    Action,
    ActionSpace,
    Card,
    Checkpoint,
    FabricParams,
    History,
    Measure,
    Proposal,
    Range,
    Reference,
    Role,
    Score,
    Study,
    StudySettings,
    Trial,
    TrialStatus,
    objective,
)
from fabricbo.imagefiles import open_image
from fabricbo.study.status import read_status
from fabricbo.testing import check_objective


# Whatever is called with images may be one: its decorator takes and returns any callable.
@objective(direction="minimize", card=Card(scale="0 to 1"))  # type: ignore[misc]
def darkness(images: Sequence[Image], prompt: str) -> list[float]:
    """Score by width, for want of something better."""
    return [float(image.width) + len(prompt) for image in images]


class AlwaysByHand:
    """A proposer."""

    def propose(self, history: History, /) -> Proposal:
        """Propose the hand settings."""
        return Proposal(history.space.hand_action(history.pool), "mine")


def reference(file: Path) -> Reference:
    """Return a reference of a file."""
    return Reference("a", file.name, open_image(file), Role.DISLIKED)


def run(settings: StudySettings) -> float | None:
    """Run a study, and return what its best trial scored."""
    check_objective(darkness)
    study: Study = fabricbo.create_study(settings, objective=darkness, device="cpu")
    best: Trial | None = study.run(on_trial)
    score: Score | None = None if best is None else best.score
    measures: tuple[Measure, ...] = study.measures
    names: list[str] = [measure.name for measure in measures]
    page: Path = fabricbo.write_report(study)
    left: float | None = read_status(study).pace.seconds_left
    return score.mean if score is not None and names and page.is_file() and left == 0 else None


def on_trial(trial: Trial) -> None:
    """Look at a trial."""
    done: bool = trial.status is TrialStatus.DONE
    weight: float = trial.action.params.max_weight
    if done and weight > 1:
        raise ValueError(trial.reason or "too much")


PROPOSER: fabricbo.Proposer = AlwaysByHand()
SPACE: ActionSpace = ActionSpace({"max_weight": Range(0.0, 1.5)})
ACTION: Action = Action(FabricParams(feedback_end=0.5))
CHECKPOINT: Checkpoint = Checkpoint("demo", device="cpu")
