"""What a study measures, from its objectives and the bounds on them."""

from collections.abc import Mapping

from fabricbo.protocols import Objective
from fabricbo.scores import Measure
from fabricbo.scoring import declaration
from fabricbo.study.bounds import Bounds, bounds_by_name, check_bounded
from fabricbo.study.settings import StudySettings

PEOPLE = "preference"
"""Name of the first objective where people judge."""


def study_measures(
    objectives: Mapping[str, Objective], settings: StudySettings
) -> tuple[Measure, ...]:
    """Return what is measured: objectives in their order, then what has bounds to keep.

    Raises:
        ValueError: nothing judges the images, a bound on what is not measured, or bounds on all.
    """
    if not objectives and settings.rating is None:
        raise ValueError("objective: is required where people do not judge (rating)")
    bounds = bounds_by_name(settings.constraints)
    check_bounded(bounds, list(objectives))
    if not objectives:
        return (Measure(PEOPLE),)
    points = {one.called: one.reference_point for one in settings.objective}
    ordered = sorted(objectives, key=lambda name: name in bounds)
    return tuple(
        _measure(name, objectives[name], bounds.get(name, Bounds()), points.get(name))
        for name in ordered
    )


def _measure(name: str, objective: Objective, bounds: Bounds, point: float | None) -> Measure:
    direction = declaration(objective).direction
    return Measure(name, direction, bounds.at_least, bounds.at_most, point)
