"""Which references help: what each does when it is liked or disliked instead of unused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabricbo.assessment import Estimate, ReferenceEffect
from fabricbo.records import Action, Reference, Role
from fabricbo.report.embed import EmbeddedImages
from fabricbo.report.pictures import Picture, reference_pictures
from fabricbo.report.wording import ERRORS, number_text
from fabricbo.scores import Direction
from fabricbo.space import role_choice

_REACH = 47.0
"""Percent of a lane between its middle, no change, and the farthest end of any interval."""


@dataclass(frozen=True)
class Lane:
    """One effect as a dot on a bar; positions are percent of the width, better to the right."""

    role: Role
    low: float
    dot: float
    high: float
    verdict: str
    """`better`, `worse`, or `unclear` where the interval holds no change."""
    amount: str
    """The effect in a few characters, such as `0.12 better`."""
    text: str
    """The same with its interval, for those who do not see the bar."""


@dataclass(frozen=True)
class EffectRow:
    """A reference with its effects."""

    picture: Picture
    role: Role
    """What it is in the best trial."""
    standing: str
    """The same in words, with its strength where that is not 1."""
    lanes: Sequence[Lane]


@dataclass(frozen=True)
class _Gain:
    """An effect turned so that above 0 is better."""

    mean: float
    low: float
    high: float


def effect_rows(
    effects: Sequence[ReferenceEffect],
    references: Mapping[str, Reference],
    best: Action,
    direction: Direction,
    embedded: EmbeddedImages,
) -> list[EffectRow]:
    """Return the effects on the first objective, most helpful when liked first.

    Args:
        references: all that ever were in the pool, by identity.
    """
    gains = {
        effect.reference: (_gain(effect.liked, direction), _gain(effect.disliked, direction))
        for effect in effects
        if effect.measure == 0
    }
    reach = max((max(-g.low, g.high) for pair in gains.values() for g in pair), default=0.0)
    rows = []
    for identity, pair in sorted(gains.items(), key=lambda item: -item[1][0].mean):
        reference = references[identity]
        (picture,) = reference_pictures([reference], embedded)
        lanes = [
            _lane(role, gain, reach or 1.0)
            for role, gain in zip((Role.LIKED, Role.DISLIKED), pair, strict=True)
        ]
        standing = role_choice(best, reference)
        rows.append(EffectRow(picture, best.role(reference), standing, lanes))
    return rows


def _gain(change: Estimate, direction: Direction) -> _Gain:
    mean = change.mean if direction == "maximize" else -change.mean
    margin = ERRORS * change.standard_error
    return _Gain(mean, mean - margin, mean + margin)


def _lane(role: Role, gain: _Gain, reach: float) -> Lane:
    low, dot, high = (50 + _REACH * value / reach for value in (gain.low, gain.mean, gain.high))
    return Lane(role, low, dot, high, _verdict(gain), _amount(gain.mean), _spoken(role, gain))


def _verdict(gain: _Gain) -> str:
    if gain.low <= 0 <= gain.high:
        return "unclear"
    return "better" if gain.mean > 0 else "worse"


def _amount(value: float) -> str:
    if value == 0:
        return "no change"
    return f"{number_text(abs(value))} {'better' if value > 0 else 'worse'}"


def _spoken(role: Role, gain: _Gain) -> str:
    said = f"{role} instead of unused: {_amount(gain.mean)}, "
    said += f"between {_amount(gain.low)} and {_amount(gain.high)}"
    return f"{said}, so unclear" if _verdict(gain) == "unclear" else said
