"""What a new study keeps where its checkpoint may draw people, unless it says otherwise.

The bundled checkpoint draws objects only; nobody knows what another one draws. So images are
measured by the objective `nsfw`, with a bound to keep, and raters see what breaks it blurred; all
of it where objectives are handed over, which say all that is measured.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fabricbo.scoring import ObjectiveError
from fabricbo.study.bounds import bounds_by_name
from fabricbo.study.checked import SettingsError
from fabricbo.study.settings import ObjectiveSettings, StudySettings

OBJECTIVE = "nsfw"
BOUND = f"{OBJECTIVE} <= 0.1"
_HARMLESS = "demo"
"""The bundled checkpoint."""
_HOW = "`safety = false` in the study file leaves that out"


def with_safety(settings: StudySettings, handed_over: bool = False) -> StudySettings:
    """Return settings with the bound, where one is to be kept.

    A study that has an objective `nsfw`, bounded or not, has thought of it.

    Args:
        settings: of a study that is to be made.
        handed_over: whether objectives come from Python in place of those that the settings name;
            then they say all that is measured.
    """
    safe = settings.safety
    if safe is None:
        safe = settings.checkpoint.name != _HARMLESS
    if not safe:
        return settings
    found: dict[str, Any] = {"safety": True}
    measured = [*settings.objective]
    judges = measured or settings.rating is not None
    if judges and not handed_over and all(OBJECTIVE not in (m.name, m.called) for m in measured):
        found["objective"] = (*measured, ObjectiveSettings(name=OBJECTIVE))
        found["constraints"] = (*settings.constraints, BOUND)
    settings = settings.model_copy(update=found)
    if settings.rating is None or settings.rating.blur is not None:
        return settings
    blurred = {"blur": OBJECTIVE if OBJECTIVE in bounds_by_name(settings.constraints) else True}
    return settings.model_copy(update={"rating": settings.rating.model_copy(update=blurred)})


def safety_note(given: StudySettings, kept: StudySettings) -> str | None:
    """Say what a study keeps that its settings did not ask for; None where that is nothing."""
    said = []
    if kept.constraints != given.constraints:
        said.append(f"keeps {BOUND}")
    if kept.rating is not None and kept.rating != given.rating:
        seen = (
            f"what breaks the bound on {OBJECTIVE}"
            if kept.rating.blur == OBJECTIVE
            else "all images"
        )
        said.append(f"blurs {seen} until a rater wants to see it")
    if not said:
        return None
    return f"{kept.checkpoint.name} may draw people, so the study {' and '.join(said)}; {_HOW}"


@contextmanager
def naming_safety(without: Callable[[], object]) -> Iterator[None]:
    """Say of what goes wrong with the bound that it was not asked for, and how to do without.

    Args:
        without: loads what was asked for; where that fails, too, the bound is not to blame.
    """
    try:
        yield
    except (SettingsError, ObjectiveError) as error:
        if OBJECTIVE not in str(error):
            raise
        without()
        raise type(error)(f"{error}\n{BOUND} is kept by default: {_HOW}") from error
