"""What executors do, and what they say about it."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fabricbo.executors.drawing import (
    Batch,
    Plan,
    Scene,
    all_images,
    draw,
    draw_together,
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
    began, before = time.monotonic(), _counts(tools.sampler)
    try:
        if work.images:
            batches = in_batches(work.plan, work.images)
        else:
            batches = draw(tools.sampler, work.action, work.plan)
    except _WRONG as error:
        yield _not_drawn(work, error)
        return
    yield from _report(work, tools, batches, _Spent(began, before))


def perform_all(works: Sequence[Work], tools: Tools) -> Iterator[Drawn | Scored | Failed]:
    """Do several pieces of work; what can be drawn in one batch is drawn in one.

    Where that fails, each is drawn alone, so that a failure is of the one whose it is.
    """
    sampler = tools.sampler
    for group in _groups(works):
        began, before = time.monotonic(), _counts(tools.sampler)
        batches = None
        if len(group) > 1 and isinstance(sampler, Batching):
            batches = _together(group, sampler)
        if batches is None:
            for work in group:
                yield from perform(work, tools)
            continue
        share = (time.monotonic() - began) / len(group)
        for work, own in zip(group, batches, strict=True):
            yield from _report(work, tools, own, _Spent(time.monotonic() - share, before))
            before = _counts(tools.sampler)  # what was counted goes with the first


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


def _together(works: Sequence[Work], sampler: Batching) -> list[list[Batch]] | None:
    """Draw several in one batch; None where that is not possible."""
    try:
        return draw_together(sampler, [w.action for w in works], [w.plan for w in works])
    except _WRONG as error:
        said = (len(works), type(error).__name__, error)
        _log.warning("%d trials cannot be drawn together, each is drawn alone: %s: %s", *said)
        return None


@dataclass(frozen=True)
class _Spent:
    began: float
    counts: Mapping[str, int]
    """Of the sampler before it drew."""


def _report(
    work: Work, tools: Tools, batches: Sequence[Batch], spent: _Spent
) -> Iterator[Drawn | Scored | Failed]:
    """Report images that were drawn, or were there before, and score them."""
    if not work.images:
        counts = {n: c - spent.counts[n] for n, c in _counts(tools.sampler).items()}
        with_ = drawn_with(tools.sampler)
        yield Drawn(work.key, all_images(batches), with_, counts=counts)

    def baseline(prompt: str) -> Sequence["Image"]:
        return work.hand[prompt] if prompt in work.hand else own_images(batches, prompt)

    scene = Scene(work.action, work.references, baseline)
    reporters = tools.reporters if work.with_reporters else {}
    try:
        values = score_values({**tools.objectives, **reporters}, batches, scene)
    except ObjectiveError as error:
        yield Failed(work.key, str(error))
    except _WRONG as error:
        yield _not_drawn(work, error)
    else:
        yield Scored(work.key, values, None if work.images else time.monotonic() - spent.began)


_WRONG = (RuntimeError, ValueError, MemoryError)
"""What drawing raises; out of device memory is among it."""


def _not_drawn(work: Work, error: Exception) -> Failed:
    return Failed(work.key, f"drawing failed with {type(error).__name__}: {error}")


def drawn_with(sampler: Sampler) -> Environment | None:
    """Return what a sampler says its images depend on besides the call; None if it says nothing."""
    return sampler.environment if isinstance(sampler, Described) else None


def _counts(sampler: Sampler) -> Mapping[str, int]:
    return dict(sampler.counts) if isinstance(sampler, Counting) else {}
