"""What `objectives` and `score` say."""

from typing import Literal

from fabricbo.cli.answers.answer import Answer, Told
from fabricbo.scores import Direction
from fabricbo.scoring.declaration import Per


class ObjectiveTold(Told):
    """An installed objective."""

    name: str
    about: str
    direction: Direction
    per: Per
    """Whether it returns one number an image, or a single one for the whole batch."""
    scale: str
    """Range and unit of its scores."""
    source: str
    """Paper, equation or page that the formula is from."""
    licence: str
    """Of the code that computes it."""
    checkpoint: str
    """What it loads unless told otherwise; empty: nothing."""
    checkpoint_licence: str
    parameters: int | None
    """Of that checkpoint, in millions."""
    extra: str
    """What to install for it: `pip install fabricbo[EXTRA]`; empty: nothing more."""


class BrokenObjective(Told):
    """An installed objective that cannot be loaded; it hides no other."""

    name: str
    error: str


class Objectives(Answer):
    """`fabricbo objectives`: what images can be scored by."""

    format: Literal[1] = 1
    objectives: tuple[ObjectiveTold, ...]
    broken: tuple[BrokenObjective, ...]


class Scores(Answer):
    """`fabricbo score`: what an objective says of image files."""

    format: Literal[1] = 1
    objective: str
    direction: Direction
    per: Per
    prompt: str
    files: tuple[str, ...]
    scores: tuple[float, ...]
    """One a file, or a single one for all."""
    mean: float
