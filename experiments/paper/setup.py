"""What is common to all tasks and systems of an experiment, and what its results are kept under."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.paper.drawing import Drawing, file_hash
from experiments.paper.panel import Panel, PanelChoice
from experiments.paper.rounds import Artist, Plan
from experiments.paper.systems import System
from experiments.paper.tasks import Task
from fabricbo.imagefiles import pixel_hash
from fabricbo.records import Action, FabricParams

TARGET_SEEDS = 50_000_000
"""From which the bundled checkpoint draws targets; tasks draw from lower ones."""


@dataclass(frozen=True)
class Searching:
    """How settings are searched."""

    trials: int
    proposer: str


@dataclass(frozen=True)
class Setup:
    """An experiment."""

    protocol: str
    """`preference` or `target`."""
    drawing: Drawing
    looking: PanelChoice
    plan: Plan
    hand: FabricParams
    systems: Mapping[str, System]
    tasks: list[Task]
    tuning: list[Task]
    """To search settings on."""
    searching: Searching
    results: Path
    kept: bool
    """Whether nothing is played, and only what is kept is told."""
    artist: Callable[[bool], Artist]
    """Returns who draws, without or with the LoRA; networks are loaded when first asked for."""
    panel: Panel

    def key(self, task: Task, system: System, params: FabricParams) -> list[Any]:
        """Return all that an outcome depends on."""
        drawing, looking = self.drawing, self.looking
        shown = task.shown.caption() if task.shown else task.target and pixel_hash(task.target)
        lora = file_hash(drawing.lora) if system.lora and drawing.lora else None
        return [
            *(self.protocol, drawing.checkpoint.name, drawing.checkpoint.revision, lora),
            *(drawing.scheduler, drawing.negative_prompt, looking.scorer, looking.scorer_options),
            *(looking.clip, looking.judge, self.plan.rounds, self.plan.images, task.index),
            *(task.prompt, shown, system.liked, system.disliked, params.to_json()),
            *([] if drawing.size is None else [drawing.size]),
        ]


def load_networks(setup: Setup) -> None:
    """Load all networks, so that what is missing is missed before anything is drawn.

    Raises:
        ObjectiveError: a scorer is neither here nor can it be fetched.
        FileNotFoundError: the checkpoint is neither here nor can it be fetched.
        ValueError: the checkpoint cannot be used, or the LoRA does not fit it.
    """
    setup.panel.load()
    for with_lora in sorted({system.lora for system in setup.systems.values()}):
        setup.artist(with_lora)


def with_demo_targets(setup: Setup, tasks: list[Task]) -> list[Task]:
    """Give tasks the targets that the bundled checkpoint draws from the whole caption."""
    if setup.protocol != "target":
        return tasks
    artist = setup.artist(False)
    action = Action(setup.hand)
    return [
        replace(task, target=artist(action, task.shown.caption(), [TARGET_SEEDS + task.index])[0])
        if task.target is None and task.shown
        else task
        for task in tasks
    ]
