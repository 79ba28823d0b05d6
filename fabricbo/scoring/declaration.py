"""What an objective says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fabricbo.protocols import Objective
from fabricbo.scores import Direction

Per = Literal["image", "batch"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Card:
    """What people want to know of an objective before they use it; texts for reading."""

    scale: str = ""
    """Range and unit of its scores, for instance `cosine, -1 to 1`."""
    source: str = ""
    """Paper, equation or page that the formula is from."""
    licence: str = ""
    """Of the code that computes it."""
    checkpoint: str = ""
    """What it loads unless told otherwise: a hub id or an address; empty: nothing."""
    checkpoint_licence: str = ""
    parameters: int | None = None
    """Of that checkpoint, in millions, four bytes each in float32; None where there is none."""
    extra: str = ""
    """What to install for it: `pip install fabricbo[EXTRA]`; empty: nothing more."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """How an objective is to be called and read.

    Raises:
        ValueError: a direction or a `per` that does not exist.
    """

    name: str
    direction: Direction = "maximize"
    per: Per = "image"
    """Whether it returns one number an image, or a single one for the whole batch."""
    card: Card = Card()

    def __post_init__(self) -> None:
        if self.direction not in ("maximize", "minimize"):
            raise ValueError(f"direction must be maximize or minimize, got {self.direction!r}")
        if self.per not in ("image", "batch"):
            raise ValueError(f"per must be image or batch, got {self.per!r}")


def objective(
    *,
    direction: Direction = "maximize",
    per: Per = "image",
    name: str | None = None,
    card: Card | None = None,
) -> Callable[[F], F]:
    """Declare a function or class as an objective where the defaults do not fit."""

    def declare(target: F) -> F:
        declared = Declaration(name or target.__name__, direction, per, card or Card())
        target.__fabricbo_objective__ = declared  # type: ignore[attr-defined]
        return target

    return declare


def declaration(target: Objective) -> Declaration:
    """Return what an objective declares, or the defaults."""
    declared = getattr(target, "__fabricbo_objective__", None)
    if isinstance(declared, Declaration):
        return declared
    return Declaration(getattr(target, "__name__", type(target).__name__))
