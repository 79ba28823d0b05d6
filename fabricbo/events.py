"""What loggers are told: frozen values, each with all that is to be said about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabricbo.records import Trial
from fabricbo.scores import Measure, Score

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class About:
    """The study that an event is of."""

    name: str
    id: str
    """The same whenever it is resumed, and no other study's."""
    folder: Path
    """Where loggers may keep things, under a name of their own."""
    settings: Mapping[str, Any]
    """As in the study file, in JSON's types."""
    measures: tuple[Measure, ...]
    """What scores are of, the first objective first; where only people say what is good what has
    bounds to keep, if anything."""
    planned: int
    """Trials in all."""


@dataclass(frozen=True)
class StudyBegun:
    """Somebody begins to draw for a study, or goes on; the first event of each process."""

    about: About
    time: datetime
    """In UTC."""
    resumed: bool
    """Whether it has trials already."""


@dataclass(frozen=True)
class TrialOver:
    """A trial is done, waits for a person, failed, or was given up."""

    about: About
    time: datetime
    """When it was over, in UTC."""
    trial: Trial
    images: tuple["Image", ...]
    """In the order of `trial.images`; none where they cannot be read."""
    best: Trial | None
    """By mean score, of the trials so far; None where people judge."""


@dataclass(frozen=True)
class RoundOver:
    """All trials of a round are over."""

    about: About
    time: datetime
    round: int
    pool: int
    """References that its trials chose from."""
    best: Trial | None
    """As of its last trial."""


@dataclass(frozen=True)
class Comparison:
    """Hand settings and best on seeds that the search never saw, by one measure."""

    measure: Measure
    baseline: Score
    best: Score
    difference: Score
    """Best minus baseline, seed by seed."""
    searched: bool
    """Whether the search went by it."""


@dataclass(frozen=True)
class HeldOut:
    """Hand settings and best were compared at the end."""

    about: About
    time: datetime
    trial: int
    """The best."""
    comparisons: tuple[Comparison, ...]
    baseline_images: tuple["Image", ...]
    best_images: tuple["Image", ...]


@dataclass(frozen=True)
class StudyEnded:
    """Whoever drew leaves off; a process that is killed does not say so."""

    about: About
    time: datetime
    complete: bool
    """Whether all trials that were planned are over."""


StudyEvent = StudyBegun | TrialOver | RoundOver | HeldOut | StudyEnded
