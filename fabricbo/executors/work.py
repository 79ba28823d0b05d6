"""What executors do, and what they say about it."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from fabricbo.executors.drawing import (
    Batch,
    Finish,
    Plan,
    Scene,
    all_images,
    begin,
    begin_together,
    in_batches,
    own_images,
    score_values,
)
from fabricbo.protocols import Batching, Counting, Described, Environment, Objective, Sampler
from fabricbo.records import Action, Reference
from fabricbo.scoring import ObjectiveError

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)


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
    yield from perform_all([work], tools)


def perform_all(works: Sequence[Work], tools: Tools) -> Iterator[Drawn | Scored | Failed]:
    """Do several pieces of work; what can be drawn in one batch is drawn in one.

    Where that fails, each is drawn alone, so that a failure is of the one whose it is.
    """
    for begun in begin_all(works, tools):
        finished = finish(begun)
        if finished.drawn is not None:
            yield finished.drawn
        yield score(finished, tools)


@dataclass(frozen=True)
class Begun:
    """Work of which nothing is left to draw, but perhaps to decode."""

    work: Work
    finish: Finish
    """Returns the images."""
    seconds: float
    """That it took."""
    environment: Environment | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    failed: Failed | None = None
    """What went wrong; no error, whose traceback would hold tensors."""


@dataclass(frozen=True)
class Finished:
    """Work of which the images are there, or will never be."""

    work: Work
    batches: Sequence[Batch] = ()
    seconds: float = 0.0
    drawn: Drawn | None = None
    """None where they were there before, or drawing failed."""
    failed: Failed | None = None


def begin_all(works: Sequence[Work], tools: Tools) -> Iterator[Begun]:
    """Draw, up to what the sampler can leave for later."""
    sampler = tools.sampler
    for group in _groups(works):
        began, before = time.monotonic(), _counts(sampler)
        finishes = None
        if len(group) > 1 and isinstance(sampler, Batching):
            finishes = _together(group, sampler)
        if finishes is None:
            for work in group:
                yield _begin(work, tools)
            continue
        seconds = (time.monotonic() - began) / len(group)
        counts = _counted(sampler, before)
        for work, rest in zip(group, finishes, strict=True):
            yield Begun(work, rest, seconds, drawn_with(sampler), counts)
            counts = dict.fromkeys(counts, 0)  # what was counted goes with the first


def _begin(work: Work, tools: Tools) -> Begun:
    began, before = time.monotonic(), _counts(tools.sampler)
    try:
        if work.images:
            return Begun(work, partial(in_batches, work.plan, work.images), 0.0)
        rest = begin(tools.sampler, work.action, work.plan)
    except _WRONG as error:
        return Begun(work, list, 0.0, failed=_not_drawn(work, error))
    seconds, counts = time.monotonic() - began, _counted(tools.sampler, before)
    return Begun(work, rest, seconds, drawn_with(tools.sampler), counts)


def finish(begun: Begun) -> Finished:
    """Do what is left of drawing."""
    work, began = begun.work, time.monotonic()
    if begun.failed is not None:
        return Finished(work, failed=begun.failed)
    try:
        batches = begun.finish()
    except _WRONG as error:
        return Finished(work, failed=_not_drawn(work, error))
    seconds = begun.seconds + time.monotonic() - began
    if work.images:
        return Finished(work, batches, seconds)
    drawn = Drawn(work.key, all_images(batches), begun.environment, counts=begun.counts)
    return Finished(work, batches, seconds, drawn)


def score(finished: Finished, tools: Tools) -> Scored | Failed:
    """Score what was drawn, or was there before."""
    if finished.failed is not None:
        return finished.failed
    work, batches, began = finished.work, finished.batches, time.monotonic()

    def baseline(prompt: str) -> Sequence["Image"]:
        return work.hand[prompt] if prompt in work.hand else own_images(batches, prompt)

    scene = Scene(work.action, work.references, baseline)
    reporters = tools.reporters if work.with_reporters else {}
    try:
        values = score_values({**tools.objectives, **reporters}, batches, scene)
    except ObjectiveError as error:
        return Failed(work.key, str(error))
    except _WRONG as error:
        return _not_drawn(work, error)
    seconds = finished.seconds + time.monotonic() - began
    return Scored(work.key, values, None if work.images else seconds)


def _groups(works: Sequence[Work]) -> list[list[Work]]:
    """Split work into what can be drawn in one batch, in order."""
    groups: list[list[Work]] = []
    for work in works:
        last = groups[-1][-1] if groups else None
        drawn = work.images or (last and last.images)
        settings = work.action.params.batch_settings
        if last and not drawn and last.action.params.batch_settings == settings:
            groups[-1].append(work)
        else:
            groups.append([work])
    return groups


def _together(works: Sequence[Work], sampler: Batching) -> list[Finish] | None:
    """Begin several in one batch; None where that is not possible."""
    try:
        return begin_together(sampler, [w.action for w in works], [w.plan for w in works])
    except _WRONG as error:
        said = (len(works), type(error).__name__, error)
        _log.warning("%d trials cannot be drawn together, each is drawn alone: %s: %s", *said)
        return None


_WRONG = (RuntimeError, ValueError, MemoryError)
"""What drawing raises; out of device memory is among it."""


def _not_drawn(work: Work, error: Exception) -> Failed:
    return Failed(work.key, f"drawing failed with {type(error).__name__}: {error}")


def drawn_with(sampler: Sampler) -> Environment | None:
    """Return what a sampler says its images depend on besides the call; None if it says nothing."""
    return sampler.environment if isinstance(sampler, Described) else None


def _counts(sampler: Sampler) -> Mapping[str, int]:
    return dict(sampler.counts) if isinstance(sampler, Counting) else {}


def _counted(sampler: Sampler, before: Mapping[str, int]) -> Mapping[str, int]:
    return {name: count - before[name] for name, count in _counts(sampler).items()}
