"""The extension points, on one page. Anything with the right method fits; nothing is registered."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from fabricbo.assessment import Assessment
from fabricbo.events import StudyEvent
from fabricbo.records import Action, Reference, Trial
from fabricbo.scores import Direction, Measure, Preference
from fabricbo.space import ActionSpace

if TYPE_CHECKING:
    from PIL.Image import Image

Spend = Literal["trials", "seconds"]


class Objective(Protocol):
    """Scores images; a plain function is enough.

    `fabricbo.objective` declares a direction, a name, or one number for a whole batch where
    the defaults (maximize, the function's name, one number an image) do not fit.

    It may also have `embed(images)`, which returns vectors, `images x d`, near for images that
    it takes for alike; the search then carries over what it learnt about one reference to those
    like it. Without it, the sampler's `embed` says what is alike, if it has one.

    It may have `load()`, which is called once before the first image is drawn: the place to load
    networks, and to say what is missing. And it may ask, by the name of further parameters, for
    `action`, `references`, `seeds` and `baseline`, or all of them as `drawn`; see
    `fabricbo.scoring.DrawnWith`.
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
class Drawing:
    """Images of one action."""

    action: Action
    prompt: str | Sequence[str]
    """One for all images, or one for each."""
    seeds: Sequence[int]
    """At least one, each at least 0, below 2**63."""


@runtime_checkable
class Batching(Protocol):
    """A sampler that draws images of several actions in one batch."""

    def together(self, drawings: Sequence[Drawing], /) -> list[list["Image"]]:
        """Return the images of each, the same as one by one up to rounding.

        The actions have the same `batch_settings`: one guidance scale, say.
        """


@runtime_checkable
class Deferring(Protocol):
    """A sampler that can leave the last of its work for later: decoding, on a GPU."""

    def begin(self, drawings: Sequence[Drawing], /) -> Callable[[], list[list["Image"]]]:
        """Draw as `Batching.together` does, up to what can be done while the next are begun.

        Returns:
            What does the rest and returns the images, once, perhaps in another thread.
        """


Environment = Mapping[str, Any]
"""What images depend on besides action, prompt and seeds, in JSON's types."""


@runtime_checkable
class Described(Protocol):
    """A sampler that can say what its images depend on; studies keep it with each trial."""

    @property
    def environment(self) -> Environment:
        """Weights, scheduler, device, versions."""


@runtime_checkable
class Counting(Protocol):
    """A sampler that counts what it met while it drew; studies keep a trial's counts with it."""

    @property
    def counts(self) -> Mapping[str, int]:
        """By name, since it was made."""


@dataclass(frozen=True, slots=True)
class History:
    """All that a proposer may know: what can be chosen, and what is known so far."""

    space: ActionSpace
    pool: tuple[Reference, ...]
    """References of the present round; earlier trials count as not using the new ones."""
    trials: tuple[Trial, ...]
    """All trials in order: done, failed, pending, and drawn but not judged."""
    direction: Direction
    """Of the first objective."""
    seed: int
    """Of the study: all randomness of a proposer derives from it and the number of trials."""
    further: tuple[Measure, ...] = ()
    """What else is measured: objectives, and what has bounds to keep; see `Trial.further`."""
    reference_point: float | None = None
    """What the first objective must at least reach to count, among several; None: inferred."""
    preferences: tuple[Preference, ...] = ()
    """What people preferred, in the order in which they said so."""
    seeds: tuple[int, ...] = ()
    """Of the present round; a trial that was drawn with them gives nothing new when repeated.
    Empty where nobody knows: then no action is worth repeating."""
    earlier: tuple[Trial, ...] = ()
    """Scored trials of an earlier study that this one starts from."""
    spend: Spend = "trials"
    """What is scarce: trials, or the seconds that they take."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All that is measured, the first objective first."""
        first = Measure("score", self.direction, reference_point=self.reference_point)
        return (first, *self.further)

    @property
    def objectives(self) -> tuple[int, ...]:
        """Which of the measures are optimized; the others have bounds to keep."""
        return tuple(i for i, m in enumerate(self.measures) if not m.is_constraint)


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


@runtime_checkable
class Assessor(Protocol):
    """A proposer that can also say what it makes of the trials; studies choose the best by it."""

    def assess(self, history: History, /) -> Assessment:
        """Return what it makes of them; as little as it knows where there are few."""


@runtime_checkable
class Comparer(Protocol):
    """A proposer that can also say which trials people should compare next."""

    def compare(
        self, history: History, count: int, waiting: Collection[frozenset[int]], /
    ) -> list[tuple[int, int]]:
        """Return the indices of trials that have images, pair by pair, the most telling first.

        Args:
            history: what is known.
            count: how many pairs, at most.
            waiting: pairs that somebody is being asked about already.
        """


class Logger(Protocol):
    """Is told what becomes of a study, for instance to show it elsewhere.

    It is called in a thread of its own, one event after the other: first that a study has begun,
    last that it has ended. One that raises, or takes minutes, is left out from then on, and told
    the rest when the study is next resumed. What it was told it is not told again, unless the
    process was killed in between: the trial's number makes the difference then.
    """

    def log(self, event: StudyEvent, /) -> None:
        """Take an event in."""
