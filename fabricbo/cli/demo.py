"""The study of `fabricbo demo`: bundled model, a target picture, references that help and hurt.

The target is a cat in the style of some references of the pool and on the background of others;
the rest share neither. The hand settings like all eight, as somebody does who has collected
pictures and does not know which of them help: that is what the search finds out.
"""

from pathlib import Path

from fabricbo.demo import pool_folder, references_folder
from fabricbo.study import StudySettings, check_settings
from fabricbo.study.study import STORE_NAME

TARGET = "cat-sketch-green.png"


def demo_settings(storage: Path, seed: int) -> StudySettings:
    """Return the settings; the study gets a name that is free in the storage."""
    return check_settings(
        {
            "name": _free_name(storage),
            "prompt": "a cat",
            "storage": storage,
            "seed": seed,
            "rounds": 4,
            "trials": 6,
            "images": 4,
            "checkpoint": "demo",
            "space": {
                "guidance_scale": 3.0,
                "feedback_start": [0.0, 1.0],
                "feedback_end": [0.0, 1.0],
                "max_weight": [0.0, 1.5],
                "neg_scale": [0.0, 1.0],
                "max_liked": 8,
                "max_disliked": 8,
            },
            "pool": {"folder": pool_folder()},
            "objective": {
                "name": "target-similarity",
                "target": str(references_folder() / TARGET),
            },
        }
    )


def _free_name(storage: Path) -> str:
    names = ["demo", *(f"demo-{number}" for number in range(2, 10_000))]
    return next(name for name in names if not (storage / name / STORE_NAME).exists())
