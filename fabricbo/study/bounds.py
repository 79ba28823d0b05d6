"""Bounds to keep, as people write them: `nsfw <= 0.1`."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BOUND = re.compile(r"\s*(?P<name>\S+)\s*(?P<relation><=|>=)\s*(?P<value>\S+)\s*")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a measure must keep."""

    at_least: float | None = None
    at_most: float | None = None


def bounds_by_name(constraints: Sequence[str]) -> dict[str, Bounds]:
    """Read constraints.

    Raises:
        ValueError: one that is no constraint, two of the same kind on one name, or bounds that
            leave nothing.
    """
    found: dict[str, Bounds] = {}
    for text in constraints:
        match = _BOUND.fullmatch(text)
        value = _number(match["value"]) if match else None
        if match is None or value is None:
            raise ValueError(f"a constraint reads like 'nsfw <= 0.1', got {text!r}")
        found[match["name"]] = _added(
            found.get(match["name"], Bounds()), match["relation"], value, text
        )
    for name, bounds in found.items():
        low, high = bounds.at_least, bounds.at_most
        if low is not None and high is not None and low > high:
            raise ValueError(f"{name} cannot be at least {low:g} and at most {high:g}")
    return found


def check_bounded(bounds: Mapping[str, Bounds], names: Sequence[str], *, judged: bool) -> None:
    """Check that what is bounded is measured, and that something is left to optimize.

    Args:
        bounds: by what they are on.
        names: of the objectives.
        judged: whether people say what is good, so that all of these may be bounded.

    Raises:
        ValueError: a bound on what is not there, or on all there is where nobody judges.
    """
    for name in bounds:
        if name not in names:
            raise ValueError(
                f"constraint on {name!r}, which is no objective of this study; there: "
                f"{', '.join(names) or 'none; one from Python must be handed over each time'}"
            )
    if bounds and set(bounds) == set(names) and not judged:
        raise ValueError("every objective is bounded, so nothing is left to optimize")


def _added(bounds: Bounds, relation: str, value: float, text: str) -> Bounds:
    known = bounds.at_least if relation == ">=" else bounds.at_most
    if known is not None:
        raise ValueError(f"there is such a bound already, got {text!r} too")
    if relation == ">=":
        return Bounds(value, bounds.at_most)
    return Bounds(bounds.at_least, value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
