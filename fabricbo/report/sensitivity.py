"""Which inputs matter: total Sobol indices of the surrogate, as bars."""

from collections.abc import Sequence
from dataclasses import dataclass

from fabricbo.assessment import Sensitivity


@dataclass(frozen=True)
class Share:
    """An input; all numbers are percent."""

    name: str
    share: float
    low: float
    high: float
    text: str
    """The same in words."""


def shares(found: Sequence[Sensitivity]) -> list[Share]:
    """Return what matters to the first objective, what matters most first."""
    own = sorted((one for one in found if one.measure == 0), key=lambda one: -one.share)
    return [
        Share(
            name=one.name,
            share=100 * one.share,
            low=100 * one.low,
            high=100 * one.high,
            text=f"{one.name}: {one.share:.0%}, between {one.low:.0%} and {one.high:.0%}",
        )
        for one in own
    ]
