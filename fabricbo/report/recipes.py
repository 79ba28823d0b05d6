"""The best action for other programs.

The one place where `fabricbo.interop` is put in: the page shows whatever is returned here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fabricbo.records import Trial
from fabricbo.study import Study


@dataclass(frozen=True)
class Recipe:
    """An action as one other program takes it."""

    title: str
    """Such as `diffusers`, `WebUI preset`, `ComfyUI values`."""
    text: str
    """To be copied."""


def recipes(study: Study, best: Trial) -> Sequence[Recipe]:  # noqa: ARG001
    """Return the best trial's action for other programs; none yet."""
    return ()
