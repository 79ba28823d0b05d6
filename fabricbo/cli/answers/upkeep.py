"""What `doctor`, `replay`, `fork` and `serve` say."""

from typing import Literal

from fabricbo.cli.answers.answer import Answer, Told
from fabricbo.study.forked_from import ForkedFrom
from fabricbo.upkeep.checks import Check
from fabricbo.upkeep.examination import State


class HarmTold(Told):
    """An image that is missing or damaged."""

    image: str
    """Its identity."""
    state: State
    uses: tuple[str, ...]
    """What it is needed for."""


class HealthTold(Answer):
    """`fabricbo doctor STUDY`: whether all of it is there and whole."""

    format: Literal[1] = 1
    good: bool
    images: int
    """That the store speaks of."""
    harms: tuple[HarmTold, ...]
    store: tuple[str, ...]
    """What is wrong with the store itself."""
    backups: tuple[str, ...]
    """Stores as they were before a newer version brought them up to date."""


class InstallationTold(Answer):
    """`fabricbo doctor`: whether this installation works."""

    format: Literal[1] = 1
    good: bool
    """Whether nothing is wrong; notes are not."""
    checks: tuple[Check, ...]


class ReplayedImage(Told):
    """An image that was drawn again."""

    prompt: str
    seed: int
    image: str
    """Identity of the one that is kept."""
    equal: bool
    said: str
    """How they differ, in words."""


class Replayed(Answer):
    """`fabricbo replay`: whether the images of a trial come out again."""

    format: Literal[1] = 1
    study: str
    """Its folder."""
    trial: int
    good: bool
    """Whether all came out equal."""
    images: tuple[ReplayedImage, ...]
    changes: tuple[str, ...]
    """What images depend on that is not as it was, in words."""


class Forked(Answer):
    """`fabricbo fork`: a study was made that goes on from another."""

    format: Literal[1] = 1
    study: str
    """Folder of the new one."""
    forked_from: ForkedFrom
    taken_over: int
    """Trials."""
    left: int
    """Trials that are to be done."""


class Serving(Answer):
    """`fabricbo serve`: where the pages are; printed once somebody may come."""

    format: Literal[1] = 1
    study: str
    """Its folder."""
    owner: str
    """The owner's page. Whoever has this link is the owner."""
