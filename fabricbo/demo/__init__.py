"""The bundled checkpoint: where its files lie.

What they are, how they were trained and how good they are is told in `README.md` beside them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ReferencePicture:
    """A real picture that comes with the checkpoint, and what it shows."""

    path: Path
    """A PNG of 64 x 64, in `references_folder()` or below `pools_folder()`."""
    concept: str
    style: str
    background: str
    source: str
    """Whose drawing it is made from."""
    licence: str
    """SPDX identifier of the source's licence."""


def checkpoint_folder() -> Path:
    """Return the folder of the diffusion model, in the format of `StableDiffusionPipeline`."""
    return _HERE / "checkpoint"


def scorer_folder() -> Path:
    """Return the folder of the scorer, in open_clip's local format."""
    return _HERE / "scorer"


def references_folder() -> Path:
    """Return the folder of references; files are named `concept-style-background.png`."""
    return _HERE / "references"


def pools_folder() -> Path:
    """Return the folder of the pools: one folder for each of `fabricbo.demo.tasks.TASKS`."""
    return _HERE / "pools"


def pool_folder() -> Path:
    """Return the folder of the pool of `fabricbo demo`."""
    return pools_folder() / "style-and-background"


def preference_scorer_folder() -> Path:
    """Return the folder of the preference scorer, in the layout of PickScore's repository."""
    return _HERE / "preference"


def references() -> tuple[ReferencePicture, ...]:
    """Return all bundled pictures, those of the pools included, with what they show."""
    rows = json.loads((references_folder() / "references.json").read_text(encoding="utf-8"))
    return tuple(
        ReferencePicture(
            _HERE / row["file"],
            row["concept"],
            row["style"],
            row["background"],
            row["source"],
            row["licence"],
        )
        for row in rows
    )
