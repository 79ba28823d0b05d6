"""The best action for other programs, as `fabricbo convert` writes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fabricbo.interop.forms import FORMS
from fabricbo.records import Trial
from fabricbo.study import Study
from fabricbo.study.recipe import recipe_of_trial

_TITLES = {
    "diffusers": "diffusers",
    "webui": "WebUI's plug-in",
    "comfyui": "ComfyUI",
}
"""By form, in the order of the page."""


@dataclass(frozen=True)
class WrittenOut:
    """An action as one other program takes it."""

    title: str
    text: str
    """To be copied."""
    notes: tuple[str, ...]
    """What was lost, or is to be done by hand."""


def written_out(study: Study, best: Trial) -> Sequence[WrittenOut]:
    """Return the best trial's action for other programs."""
    read = recipe_of_trial(study, best)
    recipe = read.value
    if Path(recipe.checkpoint).is_absolute():  # a page is shown to others
        recipe = replace(recipe, checkpoint=Path(recipe.checkpoint).name)
    found = []
    for name, title in _TITLES.items():
        form = FORMS[name](recipe)
        notes = tuple(dict.fromkeys((*read.notes, *form.notes)))
        found.append(WrittenOut(title, next(iter(form.files.values())), notes))
    return found
