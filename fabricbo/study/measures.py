"""What a study measures, from its objectives and the bounds on them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fabricbo.protocols import Objective
from fabricbo.scores import Measure
from fabricbo.scoring import declaration
from fabricbo.study.bounds import Bounds, bounds_by_name, check_bounded
from fabricbo.study.parts import Parts
from fabricbo.study.settings import StudySettings

PEOPLE = "preference"
"""Name of the first objective where nothing but people says what is good."""


def study_measures(
    objectives: Mapping[str, Objective], settings: StudySettings
) -> tuple[Measure, ...]:
    """Return what is measured: objectives in their order, then what has bounds to keep.

    Where people judge, all of them may be bounded; then what people prefer comes first.

    Raises:
        ValueError: nothing judges the images, a bound on what is not measured, bounds on all, an
            objective of the name that stands for people, or a report by scores of what only
            people judge.
    """
    if not objectives and settings.rating is None:
        raise ValueError("objective: is required where people do not judge (rating)")
    if PEOPLE in objectives:
        raise ValueError(f"objective: {PEOPLE!r} is what people say; give it another name")
    bounds = bounds_by_name(settings.constraints)
    check_bounded(bounds, list(objectives), judged=settings.rating is not None)
    people = (Measure(PEOPLE),) if set(bounds) == set(objectives) else ()
    for name in ("report_with", "heldout_prompts"):
        if people and getattr(settings, name):
            raise ValueError(
                f"{name}: the hand settings are compared with the best by scores, and only people "
                "say what is good here; name an objective without bounds, or leave it out"
            )
    points = {one.called: one.reference_point for one in settings.objective}
    ordered = sorted(objectives, key=lambda name: name in bounds)
    scored = (
        _measure(name, objectives[name], bounds.get(name, Bounds()), points.get(name))
        for name in ordered
    )
    return (*people, *scored)


def people_decide(measures: Sequence[Measure]) -> bool:
    """Tell whether nothing but people says what is good; what has bounds may be measured, too."""
    return measures[0].name == PEOPLE


def measured(measures: Sequence[Measure]) -> tuple[Measure, ...]:
    """Return what objectives measure, without what people say."""
    return tuple(measures[1:] if people_decide(measures) else measures)


def parts_for(measures: Sequence[Measure], settings: StudySettings, parts: Parts) -> Parts:
    """Return the parts with their objectives under the names that the study keeps scores by.

    A single objective is taken for the only one that the study has, whatever it is called now: a
    function may have been renamed, or written as a lambda.

    Raises:
        ValueError: they are not what the study measures, so that no trial could be scored.
    """
    now = {name: declaration(one).direction for name, one in parts.objectives.items()}
    known = {measure.name: measure.direction for measure in measured(measures)}
    mixed = settings.rating is not None and not people_decide(measures)
    if now == known or (mixed and not now):  # what is not scored then waits for a person
        return parts
    if len(now) == len(known) == 1 and [*now.values()] == [*known.values()]:
        (objective,), (name,) = parts.objectives.values(), known
        return replace(parts, objective={name: objective})
    raise ValueError(
        f"objective: this study is scored by {_said(known)}, got {_said(now)}"
        if known
        else f"objective: people judge this study, and nothing scores it; got {_said(now)}"
    )


def _said(directions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({direction})" for name, direction in directions.items()) or "nothing"


def _measure(name: str, objective: Objective, bounds: Bounds, point: float | None) -> Measure:
    direction = declaration(objective).direction
    return Measure(name, direction, bounds.at_least, bounds.at_most, point)
