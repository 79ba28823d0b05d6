"""The values that everything else passes around: frozen, checked once, plain to store.

Parameter names are those of the FABRIC paper (arXiv 2307.10159) and of its authors'
implementation, so that settings can be carried over from and to other implementations.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fabricbo.scores import Measure, Score, is_finite

if TYPE_CHECKING:
    from PIL.Image import Image


class Role(StrEnum):
    """What a reference does in one action."""

    UNUSED = "unused"
    LIKED = "liked"
    DISLIKED = "disliked"


class TrialStatus(StrEnum):
    """Where a trial stands."""

    PROPOSED = "proposed"
    RUNNING = "running"
    """Somebody draws it; see `Trial.attempt`."""
    DRAWN = "drawn"
    """Its images are kept, and are being scored."""
    AWAITING_RATING = "awaiting-rating"
    """Its images are kept, and wait for a person's judgement."""
    DONE = "done"
    FAILED = "failed"
    """Drawing or scoring it went wrong."""
    ABANDONED = "abandoned"
    """Given up, by its owner or because whoever drew it died too often."""

    @property
    def is_pending(self) -> bool:
        """Whether work on it is still to be done, a person's judgement not counted."""
        return self in (TrialStatus.PROPOSED, TrialStatus.RUNNING, TrialStatus.DRAWN)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will become of it."""
        return self is TrialStatus.DONE or self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether it is over without an outcome."""
        return self in (TrialStatus.FAILED, TrialStatus.ABANDONED)


def _optional(off: float, low: float, high: float, *, alone: bool = False) -> float:
    """Declare a setting that FABRIC does not have.

    Where it is off nothing is said of it: not in what is stored, nor to a proposer, so that a study
    without it is what it was before there was such a setting.

    Args:
        off: its value where it does nothing.
        low: its least value.
        high: its largest value.
        alone: whether it changes images that are drawn without references.
    """
    declared = {"off": off, "range": (low, high), "alone": alone}
    found: float = field(default=off, metadata=declared)
    return found


@dataclass(frozen=True, slots=True)
class FabricParams:
    """The scalar settings of one FABRIC generation; the defaults are the classic hand settings.

    Raises:
        ValueError: a field is not finite or outside its range, or the window is reversed.
    """

    feedback_start: float = 0.0
    """Start of the feedback window, fraction of the denoising steps in [0, 1] (WebUI plug-in)."""
    feedback_end: float = 0.8
    """End of the feedback window, fraction in [feedback_start, 1], included (WebUI plug-in)."""
    min_weight: float = 0.0
    """Feedback weight outside the window, at least 0 (authors: 0.1; WebUI plug-in: 0)."""
    max_weight: float = 0.8
    """Feedback weight inside the window, at least 0 (authors: 1.0; WebUI plug-in: 0.8)."""
    neg_scale: float = 0.5
    """Disliked weight as a multiple of the liked one, at least 0 (paper and authors: 0.5)."""
    pos_bottleneck_scale: float = 1.0
    """Factor on the liked weight at the U-Net's bottleneck, at least 0 (authors: 1)."""
    neg_bottleneck_scale: float = 1.0
    """Factor on the disliked weight at the U-Net's bottleneck, at least 0 (authors: 1)."""
    guidance_scale: float = 7.5
    """Classifier-free guidance; 1 or less turns it off: conditional pass only (diffusers: 7.5)."""
    denoising_steps: int = 20
    """Denoising steps, 1 to 1000 (authors: 20)."""
    prompt_dropout: float = 0.0
    """Probability in [0, 1) that a word of the prompt is left out (paper, section 5: 0.3)."""
    ramp: float = _optional(0.0, 0.0, 1.0)
    """Share of the window, in [0, 1], in which the weight rises at its start and falls at its end;
    0 is FABRIC's own: at once."""
    rescale: float = _optional(0.0, 0.0, 1.0, alone=True)
    """How far guided predictions are brought back to the standard deviation of the conditional
    ones, in [0, 1], against burnt images (arXiv 2305.08891, section 3.4: 0.7)."""
    middle_scale: float = _optional(1.0, 0.0, math.inf)
    """Factor on both weights halfway between the U-Net's outermost level and its bottleneck, at
    least 0; less and less of it towards both; 1 is FABRIC's own: a straight line."""

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            _check_range(name, getattr(self, name), low, high)
        if self.denoising_steps != int(self.denoising_steps):
            raise ValueError(f"denoising_steps must be a whole number, got {self.denoising_steps}")
        object.__setattr__(self, "denoising_steps", int(self.denoising_steps))  # 20.0 counts as 20
        if self.prompt_dropout == 1.0:
            raise ValueError("prompt_dropout must be below 1, got 1.0")
        if self.feedback_start > self.feedback_end:
            raise ValueError(
                "feedback_start must not exceed feedback_end, "
                f"got {self.feedback_start} > {self.feedback_end}"
            )

    def window(self, steps: int) -> range:
        """Return which of `steps` denoising steps lie in the feedback window, both ends included.

        The authors' own rounding; where a scheduler has several timesteps a step, these count.
        """
        first, last = round(steps * self.feedback_start), round(steps * self.feedback_end)
        return range(first, max(min(last + 1, steps), first))

    def shares(self, steps: int) -> tuple[float, ...]:
        """Return how far the weight is from `min_weight` (0) to `max_weight` (1) in the window.

        Never 0, so that the window is as long as it says. An end beyond which there is no denoising
        step has no ramp: there is nothing that the weight could rise from or fall to.

        Args:
            steps: as for `window`.

        Returns:
            One for each of the window's steps.
        """
        window = self.window(steps)
        return _shares(len(window), self.ramp, window.start > 0, window.stop < steps)

    @property
    def batch_settings(self) -> tuple[float, int, float]:
        """What images of one batch must have in common: guidance, its rescaling, and steps."""
        return self.guidance_scale, self.denoising_steps, self.rescale

    def to_json(self) -> dict[str, float]:
        """Return the fields as a JSON object, without optional ones that are off."""
        named = ((name, getattr(self, name)) for name in PARAMETER_NAMES)
        return {name: value for name, value in named if OPTIONAL.get(name) != value}

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> "FabricParams":
        """Read what `to_json` wrote.

        Raises:
            ValueError: an unknown field or a value out of range.
        """
        if unknown := data.keys() - _KNOWN:
            raise ValueError(
                f"unknown parameter {min(unknown)!r}; known are {', '.join(PARAMETER_NAMES)}"
            )
        return cls(**data)  # type: ignore[arg-type]  # names are checked above, values in the class


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("feedback_start", 0.0, 1.0),
    ("feedback_end", 0.0, 1.0),
    ("min_weight", 0.0, math.inf),
    ("max_weight", 0.0, math.inf),
    ("neg_scale", 0.0, math.inf),
    ("pos_bottleneck_scale", 0.0, math.inf),
    ("neg_bottleneck_scale", 0.0, math.inf),
    ("guidance_scale", 0.0, math.inf),
    ("denoising_steps", 1, 1000),
    ("prompt_dropout", 0.0, 1.0),
    *((f.name, *f.metadata["range"]) for f in fields(FabricParams) if f.metadata),
)
PARAMETER_NAMES: tuple[str, ...] = tuple(f.name for f in fields(FabricParams))
OPTIONAL: Mapping[str, float] = {
    f.name: float(f.metadata["off"]) for f in fields(FabricParams) if f.metadata
}
"""Settings that FABRIC does not have, and their values where they are off."""
ACT_ALONE: tuple[str, ...] = (
    *("guidance_scale", "denoising_steps", "prompt_dropout"),
    *(f.name for f in fields(FabricParams) if f.metadata and f.metadata["alone"]),
)
"""Settings that do not act through references."""
_KNOWN = frozenset(PARAMETER_NAMES)


@lru_cache(maxsize=4096)
def _shares(length: int, ramp: float, rises: bool, falls: bool) -> tuple[float, ...]:
    """Return a window's shares; its first is below 1 where it rises, its last where it falls."""
    ends = rises + falls
    if not ramp or not ends:
        return (1.0,) * length
    steps = ramp * (length - 1) / ends
    up = [min(1.0, (i + 1) / (steps + 1)) for i in range(length)]
    return tuple(
        min(up[i] if rises else 1.0, up[length - 1 - i] if falls else 1.0) for i in range(length)
    )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if type(value) is float and low <= value <= high and value < math.inf:
        return  # as nearly all are: proposers make thousands of actions for a suggestion
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if not is_finite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    if not low <= value <= high:
        allowed = f"at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
        raise ValueError(f"{name} must be {allowed}, got {value:g}")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image that feedback can use, known by its pixels."""

    id: str
    """Hash of the pixels, see `fabricbo.imagefiles.pixel_hash`."""
    name: str = field(compare=False)
    """What people call it; a file name for instance. Not part of its identity."""
    image: "Image" = field(compare=False, repr=False)
    """RGB pixels of any size; the sampler resizes them."""
    hand_role: Role = field(default=Role.LIKED, compare=False)
    """Its role under the hand settings: what its owner would do without a search."""


@dataclass(frozen=True, slots=True)
class Action:
    """One point of the action space: scalar settings and the choice of references.

    Raises:
        ValueError: a reference appears twice, a strength is not finite and above 0, or it is that
            of a reference which is not used.
    """

    params: FabricParams = field(default_factory=FabricParams)
    liked: tuple[Reference, ...] = ()
    """References whose features the conditional pass attends to."""
    disliked: tuple[Reference, ...] = ()
    """References whose features the unconditional pass attends to; where there is none, attention
    is pushed away from them."""
    strengths: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Factors on the feedback weights of single references, by their identity, above 0: a
    reference of strength 2 counts as two copies of it. Those that are not named have 1, which is
    FABRIC's own and is left out."""

    def __post_init__(self) -> None:
        ids = [reference.id for reference in (*self.liked, *self.disliked)]
        if len(set(ids)) != len(ids):
            raise ValueError("a reference may be liked or disliked once, got one of them twice")
        if self.strengths:
            object.__setattr__(self, "strengths", _checked_strengths(self.strengths, ids))

    def strength(self, reference: Reference) -> float:
        """Return the factor on a reference's feedback weight."""
        return self.strengths.get(reference.id, 1.0)

    def role(self, reference: Reference) -> Role:
        """Return the role that a reference of the pool has in this action."""
        if reference in self.liked:
            return Role.LIKED
        return Role.DISLIKED if reference in self.disliked else Role.UNUSED

    def to_json(self) -> dict[str, Any]:
        """Return the action as a JSON object; references by their identity, strengths other than 1
        only."""
        return {
            "params": self.params.to_json(),
            "liked": [reference.id for reference in self.liked],
            "disliked": [reference.id for reference in self.disliked],
            **({"strengths": dict(self.strengths)} if self.strengths else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], pool: Sequence[Reference]) -> "Action":
        """Read what `to_json` wrote.

        Raises:
            ValueError: a reference is not in the pool, or parameters or strengths are not valid.
        """
        by_id = {reference.id: reference for reference in pool}
        missing = [key for key in (*data["liked"], *data["disliked"]) if key not in by_id]
        if missing:
            raise ValueError(f"the pool has no reference {missing[0]}")
        return cls(
            params=FabricParams.from_json(data["params"]),
            liked=tuple(by_id[key] for key in data["liked"]),
            disliked=tuple(by_id[key] for key in data["disliked"]),
            strengths=data.get("strengths", {}),
        )


def check_strength(value: float) -> None:
    """Check the strength of a reference.

    Raises:
        ValueError: it is no number, not finite, or not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a strength must be a number, got {value!r}")
    if not (is_finite(value) and value > 0):
        raise ValueError(f"a strength must be finite and above 0, got {value}")


def strength_text(value: float) -> str:
    """Write a strength as a factor that can be read back, such as `x2`; nothing for 1."""
    if value == 1:
        return ""
    return f"x{brief}" if float(brief := f"{value:g}") == value else f"x{value!r}"


def _checked_strengths(given: Mapping[str, float], used: Sequence[str]) -> dict[str, float]:
    """Return strengths other than 1 in the order of the references."""
    for key, value in given.items():
        check_strength(value)
        if key not in used:
            raise ValueError(f"strengths are of references that are used, got one of {key}")
    return {key: float(given[key]) for key in used if given.get(key, 1) != 1}


@dataclass(frozen=True, slots=True)
class Round:
    """Trials that share a pool, seeds and a decision at the end."""

    index: int
    """Counts from 1."""
    seeds: tuple[int, ...]
    """One seed an image, common to all trials of the round (common random numbers)."""
    pool: tuple[Reference, ...]
    """The references its trials may choose from."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One action, its images and its outcome."""

    index: int
    """Counts from 0; trial 0 is the hand settings."""
    round: int
    action: Action
    source: str
    """Who proposed it: `hand`, `sobol`, `bo`, ..."""
    seeds: tuple[int, ...]
    status: TrialStatus = TrialStatus.PROPOSED
    score: Score | None = None
    """Of the first objective; None, too, where nothing but people says what is good."""
    images: tuple[str, ...] = ()
    """Identities of its images in the image store, in the order of the seeds, prompt after
    prompt."""
    reason: str | None = None
    """Why it failed."""
    seconds: float | None = None
    """Wall-clock time from proposal to outcome."""
    further: tuple[Score, ...] = ()
    """Of what else is measured, in the study's order; as many as the study measures, once that is
    done."""
    attempt: int = 0
    """How often somebody began to draw it. Only the last of them can store an outcome."""

    @property
    def scores(self) -> tuple[Score, ...]:
        """All scores, the first objective's first; none without that."""
        return () if self.score is None else (self.score, *self.further)

    def by_measure(self, measures: Sequence[Measure]) -> tuple[tuple[Measure, Score], ...]:
        """Return what was measured with its measure, also where people say what is good.

        Nothing of a trial that was lost after it was measured.

        Args:
            measures: all of the study, in its order; what people say, which comes first, may be
                left out.
        """
        known = () if self.status.is_lost else self.scores or self.further
        return tuple(zip(measures[len(measures) - len(known) :], known, strict=False))
