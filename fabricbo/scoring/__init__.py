"""Objectives: declaring one, finding one by name, and asking one for scores.

An objective is a callable `(images, prompt) -> Sequence[float]`. `@objective` declares what
differs from the defaults; `load_objective` finds one by its installed name, or runs the code
that the user names explicitly; `evaluate` checks what comes back.
"""

from fabricbo.scoring.declaration import Card, Declaration, declaration, objective
from fabricbo.scoring.errors import ObjectiveError
from fabricbo.scoring.evaluation import DrawnWith, asks_for_baseline, evaluate
from fabricbo.scoring.loading import (
    ENTRY_POINT_GROUP,
    Placement,
    installed_objectives,
    load_code,
    load_installed,
    load_objective,
    prepare,
)
from fabricbo.scoring.part import Part

__all__ = [
    "ENTRY_POINT_GROUP",
    "Card",
    "Declaration",
    "DrawnWith",
    "ObjectiveError",
    "Part",
    "Placement",
    "asks_for_baseline",
    "declaration",
    "evaluate",
    "installed_objectives",
    "load_code",
    "load_installed",
    "load_objective",
    "objective",
    "prepare",
]
