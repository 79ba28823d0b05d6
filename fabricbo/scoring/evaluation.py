"""Asking an objective for scores, and checking what comes back."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from fabricbo.protocols import Objective
from fabricbo.records import Action, Reference
from fabricbo.scores import Score
from fabricbo.scoring.declaration import declaration
from fabricbo.scoring.errors import ObjectiveError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class DrawnWith:
    """How images came about, for objectives that ask for it by the name of a parameter.

    `drawn` gives all of it, the name of a field that field.
    """

    action: Action
    references: tuple[Reference, ...]
    """The pool that the action chose from; its own are `action.liked` and `action.disliked`."""
    seeds: tuple[int, ...]
    """One an image."""
    baseline: tuple["Image", ...]
    """What the hand settings drew for this prompt in the first round; while these are scored, the
    images themselves. On held-out prompts, what they drew there. Empty where they drew nothing."""


def evaluate(
    target: Objective,
    images: Sequence["Image"],
    prompt: str,
    drawn: DrawnWith | None = None,
) -> Score:
    """Ask an objective for the score of some images.

    Args:
        target: the objective.
        images: what to score.
        prompt: what they were drawn for.
        drawn: how they were drawn, if known.

    Raises:
        ObjectiveError: it raised, it asks for what is not known, or it returned another number of
            values than declared, or values that are no finite numbers.
    """
    declared = declaration(target)
    asked = _asked(target, declared.name, drawn)
    try:
        values = tuple(float(value) for value in target(images, prompt, **asked))
    except ObjectiveError as error:
        raise ObjectiveError(f"{declared.name}: {error}") from error
    except Exception as error:  # whatever a user's code raises, the trial fails with that reason
        raise ObjectiveError(f"{declared.name} raised {type(error).__name__}: {error}") from error
    expected = len(images) if declared.per == "image" else 1
    if len(values) != expected:
        raise ObjectiveError(
            f"{declared.name} must return {expected} numbers for {len(images)} images "
            f"(one each {declared.per}), got {len(values)}"
        )
    try:
        return Score(values)
    except ValueError as error:
        raise ObjectiveError(f"{declared.name}: {error}") from error


def asks_for_baseline(target: Objective) -> bool:
    """Tell whether an objective asks for what the hand settings drew."""
    return not {"baseline", "drawn"}.isdisjoint(_parameters(target))


def _asked(target: Objective, name: str, drawn: DrawnWith | None) -> Mapping[str, Any]:
    """Return what an objective asks for by the names of its parameters."""
    known = ("drawn", *(field.name for field in fields(DrawnWith)))
    named = {key: one for key, one in _parameters(target).items() if key in known}
    if drawn is not None:
        return {key: drawn if key == "drawn" else getattr(drawn, key) for key in named}
    missing = [key for key, one in named.items() if one.default is inspect.Parameter.empty]
    if missing:
        raise ObjectiveError(
            f"{name} asks for {' and '.join(missing)}, which only images of a study have"
        )
    return {}


def _parameters(target: Objective) -> Mapping[str, inspect.Parameter]:
    """Return what can be given by name, besides images and prompt."""
    try:
        parameters = list(inspect.signature(target).parameters.values())[2:]
    except (TypeError, ValueError):  # a callable of C tells nothing
        return {}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {one.name: one for one in parameters if one.kind in by_name}
