"""What executors do, and what they say about it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fabricbo.executors.drawing import (
    Plan,
    Scene,
    all_images,
    draw,
    in_batches,
    own_images,
    score_values,
)
from fabricbo.protocols import Counting, Described, Environment, Objective, Sampler
from fabricbo.records import Action, Reference
from fabricbo.scoring import ObjectiveError

if TYPE_CHECKING:
    from PIL.Image import Image


class ExecutorError(RuntimeError):
    """No workers: they cannot be had, or die before they are ready."""


@dataclass(frozen=True)
class Tools:
    """What work is done with."""

    sampler: Sampler
    objectives: Mapping[str, Objective] = field(default_factory=dict)
    """What scores, by name."""
    reporters: Mapping[str, Objective] = field(default_factory=dict)
    """What scores baseline and best only, by name."""


@dataclass(frozen=True)
class Work:
    """Images to draw and to score."""

    key: str
    """Tells it from other work at the same time."""
    action: Action
    plan: Plan
    references: tuple[Reference, ...] = ()
    """The pool that the action chose from."""
    hand: Mapping[str, Sequence["Image"]] = field(default_factory=dict)
    """What the hand settings drew, by prompt, where an objective asks for it; the images
    themselves stand in where there is nothing."""
    images: tuple["Image", ...] = ()
    """They were drawn before, and are scored only."""
    with_reporters: bool = False
    """Whether those score too that the search never sees."""


@dataclass(frozen=True)
class Drawn:
    """The images are there; scoring begins."""

    key: str
    images: tuple["Image", ...]
    environment: Environment | None
    """What they depend on besides the work, if known."""
    worker: str = ""
    """Who drew them."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the sampler counted meanwhile."""


@dataclass(frozen=True)
class Scored:
    """The work is done."""

    key: str
    values: Mapping[str, Sequence[float]]
    """By what scored; nothing where nothing scores."""
    seconds: float | None
    """That drawing and scoring took; None where the images were there before."""


@dataclass(frozen=True)
class Failed:
    """Drawing or scoring went wrong; it would again."""

    key: str
    reason: str


@dataclass(frozen=True)
class Crashed:
    """Whoever worked died; somebody else may fare better."""

    key: str
    reason: str


Report = Drawn | Scored | Failed | Crashed
"""What is heard of work: perhaps that it is drawn, then one of the others, which is its end."""


class Executor(Protocol):
    """Draws and scores: here, on another device, on other machines.

    The same work gives the same images whoever does it, up to what their devices differ in.
    """

    @property
    def slots(self) -> int:
        """How much work it takes at once, what waits in front of its workers included."""

    @property
    def ahead(self) -> int:
        """How much of that waits in front of its workers while all of them work."""

    @property
    def has_report(self) -> bool:
        """Whether `take` would return at once."""

    def submit(self, work: Work, /) -> None:
        """Take work; returns at once."""

    def take(self) -> Report:
        """Wait for the next report about any work that was submitted and has not ended."""

    def close(self) -> None:
        """Stop; work that has not ended is forgotten."""


def perform(work: Work, tools: Tools) -> Iterator[Drawn | Scored | Failed]:
    """Draw and score, and report; whatever goes wrong in it is reported, not raised."""
    began = time.monotonic()
    try:
        if work.images:
            batches = in_batches(work.plan, work.images)
        else:
            before = _counts(tools.sampler)
            batches = draw(tools.sampler, work.action, work.plan)
            yield Drawn(
                work.key,
                all_images(batches),
                drawn_with(tools.sampler),
                counts={n: c - before[n] for n, c in _counts(tools.sampler).items()},
            )

        def baseline(prompt: str) -> Sequence["Image"]:
            return work.hand[prompt] if prompt in work.hand else own_images(batches, prompt)

        scene = Scene(work.action, work.references, baseline)
        reporters = tools.reporters if work.with_reporters else {}
        values = score_values({**tools.objectives, **reporters}, batches, scene)
    except ObjectiveError as error:
        yield Failed(work.key, str(error))
    except (RuntimeError, ValueError, MemoryError) as error:  # out of device memory included
        yield Failed(work.key, f"drawing failed with {type(error).__name__}: {error}")
    else:
        yield Scored(work.key, values, None if work.images else time.monotonic() - began)


def drawn_with(sampler: Sampler) -> Environment | None:
    """Return what a sampler says its images depend on besides the call; None if it says nothing."""
    return sampler.environment if isinstance(sampler, Described) else None


def _counts(sampler: Sampler) -> Mapping[str, int]:
    return dict(sampler.counts) if isinstance(sampler, Counting) else {}
