"""What the surrogate sees of an action: numbers that move only when the images can move.

With equal logits N references of feedback weight w take the share N*w / (1 + N*w) of the
attention (where they have strengths, these are added up in place of N), so this *mass* of the liked
and of the disliked set stands in for the raw weights and the number of references. What a reference
does to the image adds up over the denoising steps, so it is the mean mass over all steps that
counts: a short window with a large weight and a long one with a small weight pull about as far.
Which steps the window switches on enters besides. A reference's own column grows with its share.
Everything that acts through references is faded out where their mass goes to 0, so that
actions that give the same images have the same features.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fabricbo.records import ACT_ALONE, Action, FabricParams, Reference
from fabricbo.space import ActionSpace, Choice, Domain

_HALF_MASS = 0.05
"""Attention mass at which a reference's choice and the window count half as much as at 1."""


@dataclass(frozen=True)
class FeatureMap:
    """Turns actions into rows: scalar columns first, then a liked and a disliked one each."""

    space: ActionSpace
    references: tuple[Reference, ...]
    """Every reference of the pool and of earlier trials, in a fixed order."""

    @property
    def scalar_names(self) -> tuple[str, ...]:
        """Names of the scalar columns, in their order."""
        varying = self.space.parameters
        with_references = ["liked_mean_mass", "disliked_mean_mass"]
        if "min_weight" in varying or self.space.hand.min_weight > 0:
            # Mean mass and window no longer tell what is inside and what outside.
            with_references += ["liked_mass", "disliked_mass"]
        with_references += [
            name for name in varying if name not in _IN_MASS and name not in ACT_ALONE
        ]
        alone = [name for name in varying if name in ACT_ALONE]
        return (*(with_references if self.references else []), *alone)

    def __call__(self, actions: Sequence[Action]) -> npt.NDArray[np.float64]:
        """Return an `n x (s + 2 r)` array: s scalars, r references liked, r disliked."""
        names, places = self.scalar_names, {r.id: i for i, r in enumerate(self.references)}
        rows = [self._row(action, names, places) for action in actions]
        width = len(names) + 2 * len(self.references)
        return np.array(rows, dtype=np.float64).reshape(len(actions), width)

    def _row(self, action: Action, names: Sequence[str], places: Mapping[str, int]) -> list[float]:
        attention = _attention(action)
        scalars = self._scalars(action.params, attention)
        liked, disliked = _fade(attention.liked_mean), _fade(attention.disliked_mean)
        disliked *= _opposed(action.params)
        roles = [0.0] * (2 * len(places))
        for reference, relative in _relative(action, action.liked):
            roles[places[reference.id]] = liked * relative
        for reference, relative in _relative(action, action.disliked):
            roles[len(places) + places[reference.id]] = disliked * relative
        return [*(scalars[name] for name in names), *roles]

    def _scalars(self, params: FabricParams, attention: "_Attention") -> dict[str, float]:
        window = _fade(attention.contrast)
        # Guidance of 1 or less is off, how far below does not matter.
        values = {n: getattr(params, n) for n in self.space.domains}
        values["guidance_scale"] = max(params.guidance_scale, 1.0)
        positions = {n: _position(domain, values[n]) for n, domain in self.space.domains.items()}
        faded = {n: positions[n] * acts(params, attention) for n, acts in _ACTS if n in positions}
        return {
            **positions,
            **faded,
            "liked_mass": attention.liked_inside,
            "disliked_mass": attention.disliked_inside,
            "liked_mean_mass": attention.liked_mean,
            "disliked_mean_mass": attention.disliked_mean,
            "feedback_start": window * attention.first / params.denoising_steps,
            "feedback_end": window * attention.stop / params.denoising_steps,
        }


@dataclass(frozen=True, slots=True)
class _Attention:
    """How much attention references get, and when."""

    first: int
    stop: int
    """The window holds the denoising steps `first <= i < stop`."""
    share_outside: float
    """Share of the denoising steps outside the window."""
    liked_inside: float
    disliked_inside: float
    liked_outside: float
    disliked_outside: float
    """Attention mass of each set inside and outside the window."""
    liked_window: float
    disliked_window: float
    """Mean over the steps inside, where the weight may rise and fall."""

    @property
    def liked_mean(self) -> float:
        return _mix(self.liked_window, self.liked_outside, self.share_outside)

    @property
    def disliked_mean(self) -> float:
        return _mix(self.disliked_window, self.disliked_outside, self.share_outside)

    @property
    def liked(self) -> float:
        return max(self.liked_inside, self.liked_outside)

    @property
    def disliked(self) -> float:
        return max(self.disliked_inside, self.disliked_outside)

    @property
    def contrast(self) -> float:
        """Difference that the window makes."""
        return max(
            abs(self.liked_inside - self.liked_outside),
            abs(self.disliked_inside - self.disliked_outside),
        )

    @property
    def slope(self) -> float:
        """Difference that the window's ramps can make: none in a window of one step."""
        return self.contrast if self.stop - self.first > 1 else 0.0


def _attention(action: Action) -> _Attention:
    params, steps = action.params, action.params.denoising_steps
    window = params.window(steps)
    first, stop = window.start, window.stop
    # Where one of them is not met by any denoising step, the other stands for both.
    inside = params.max_weight if stop > first else params.min_weight
    outside = params.min_weight if stop - first < steps else params.max_weight
    liked, disliked = _sum(action, action.liked), _sum(action, action.disliked)
    liked_inside = _mass(liked * inside)
    disliked_inside = _mass(disliked * inside * params.neg_scale)
    liked_window, disliked_window = liked_inside, disliked_inside
    if params.ramp and stop > first:
        liked_window = _ramped(liked, params)
        disliked_window = _ramped(disliked * params.neg_scale, params)
    return _Attention(
        first=first,
        stop=stop,
        share_outside=1 - (stop - first) / steps,
        liked_inside=liked_inside,
        disliked_inside=disliked_inside,
        liked_outside=_mass(liked * outside),
        disliked_outside=_mass(disliked * outside * params.neg_scale),
        liked_window=liked_window,
        disliked_window=disliked_window,
    )


def _sum(action: Action, references: Sequence[Reference]) -> float:
    """Return the sum of strengths: of how many references a set makes up for."""
    if not action.strengths:  # as nearly always, thousands of times a suggestion
        return len(references)
    return sum(action.strength(reference) for reference in references)


def _relative(action: Action, references: Sequence[Reference]) -> Iterator[tuple[Reference, float]]:
    """Give the references of a set with their shares of its attention times its effective size.

    That is (sum s)^2 / sum s^2 (Kish, "Survey Sampling", 1965): their number where all strengths s
    are equal, and nearly one where one of them has nearly all, as if it were alone.
    """
    if not action.strengths:
        return ((reference, 1.0) for reference in references)
    strengths = [action.strength(reference) for reference in references]
    most = max(strengths, default=1.0)  # squares of others could be beyond what floats hold
    parts = [strength / most for strength in strengths]
    squares = sum(part**2 for part in parts)
    return ((r, part * sum(parts) / squares) for r, part in zip(references, parts, strict=True))


def _ramped(factor: float, params: FabricParams) -> float:
    """Return the mean mass inside the window, given what weights are multiplied with."""
    if not factor:
        return 0.0
    low, more = params.min_weight, params.max_weight - params.min_weight
    shares = params.shares(params.denoising_steps)
    return sum(_mass(factor * (low + share * more)) for share in shares) / len(shares)


def _mass(weight: float) -> float:
    return weight / (1 + weight) if math.isfinite(weight) else 1.0


def _mix(inside: float, outside: float, share_outside: float) -> float:
    """Return the mean over the denoising steps."""
    return inside + share_outside * (outside - inside)


def _fade(mass: float) -> float:
    """Return 0 at mass 0, rising steeply, 1 at mass 1."""
    return mass * (1 + _HALF_MASS) / (mass + _HALF_MASS)


def _extrapolated(params: FabricParams) -> float:
    """Return the weight of the unconditional pass, 0 where guidance is off.

    Guidance g extrapolates: g times the conditional pass less g - 1 times the unconditional.
    """
    guidance = max(params.guidance_scale, 1.0)
    return (guidance - 1) / guidance


def _opposed(params: FabricParams) -> float:
    """Return how strongly disliked references act: without guidance, too (attention is pushed)."""
    return _extrapolated(params) if params.guidance_scale > 1 else 1.0


def _position(domain: Domain, value: float) -> float:
    """Place a value on the domain's scale; hand settings may lie outside the domain."""
    if isinstance(domain, Choice):
        low, high = min(domain.values), max(domain.values)
        return (value - low) / (high - low)
    return domain.to_unit(max(value, domain.low / 10) if domain.log else value)


_IN_MASS = ("min_weight", "max_weight", "neg_scale")
"""Settings that columns of mass stand for."""
_ACTS: Sequence[tuple[str, Callable[[FabricParams, _Attention], float]]] = (
    ("pos_bottleneck_scale", lambda _, attention: _fade(attention.liked)),
    ("neg_bottleneck_scale", lambda _, attention: _fade(attention.disliked)),
    ("ramp", lambda _, attention: _fade(attention.slope)),
    ("rescale", lambda params, _: _extrapolated(params)),
    ("middle_scale", lambda _, attention: _fade(max(attention.liked, attention.disliked))),
)
"""How strongly settings act that do not always do, from 0 to 1."""
