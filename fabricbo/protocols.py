"""The extension points, on one page. Anything with the right method fits; nothing is registered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from fabricbo.records import Action, Direction, Reference, Trial
from fabricbo.space import ActionSpace

if TYPE_CHECKING:
    from PIL.Image import Image


class Objective(Protocol):
    """Scores images; a plain function is enough.

    `fabricbo.objective` declares a direction, a name, or one number for a whole batch where
    the defaults (maximize, the function's name, one number an image) do not fit.

    It may also have `embed(images)`, which returns vectors, `images x d`, near for images that
    it takes for alike; the search then carries over what it learnt about one reference to those
    like it. Without it, the sampler's `embed` says what is alike, if it has one.
    """

    def __call__(self, images: Sequence["Image"], prompt: str, /) -> Sequence[float]:
        """Return one finite number for each image, in their order."""


class Sampler(Protocol):
    """Turns an action into images."""

    def __call__(
        self, action: Action, prompt: str | Sequence[str], seeds: Sequence[int], /
    ) -> list["Image"]:
        """Return one RGB image for each seed; the same call gives the same images."""


@dataclass(frozen=True, slots=True)
class History:
    """All that a proposer may know: what can be chosen, and what is known so far."""

    space: ActionSpace
    pool: tuple[Reference, ...]
    """References of the present round; earlier trials count as not using the new ones."""
    trials: tuple[Trial, ...]
    """All trials in order: done, failed and pending."""
    direction: Direction
    seed: int
    """Of the study: all randomness of a proposer derives from it and the number of trials."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action and who thought of it."""

    action: Action
    source: str
    """For instance `hand`, `sobol`, `bo`."""


class Proposer(Protocol):
    """Picks the next action."""

    def propose(self, history: History, /) -> Proposal:
        """Return an action of `history.space`, taking pending trials into account."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a trial's action is expected to score, given all trials."""

    mean: float
    standard_error: float
    """Of the expected score, not of a single image."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether it is worth going on."""

    probability: float
    """That no action is better than the best trial by more than the tolerance."""
    tolerance: float
    """In units of the score: what is closer than this counts as as good."""
    expected_gain: float
    """By how much the best action there is should beat the best trial, in units of the score."""


@runtime_checkable
class Estimator(Protocol):
    """A proposer that can also say how good the trials were; studies then choose the best by it."""

    def estimate(self, history: History, /) -> Mapping[int, Estimate]:
        """Return an estimate for every trial that has a score, by the trial's index."""

    def advise(self, history: History, /) -> Advice | None:
        """Say whether it is worth going on; None while there is too little to say so."""
