"""The bundled checkpoint: where its files lie.

What they are, how they were trained and how good they are is told in `README.md` beside them.
"""

from pathlib import Path

_HERE = Path(__file__).parent


def checkpoint_folder() -> Path:
    """Return the folder of the diffusion model, in the format of `StableDiffusionPipeline`."""
    return _HERE / "checkpoint"


def scorer_folder() -> Path:
    """Return the folder of the scorer, in open_clip's local format."""
    return _HERE / "scorer"


def references_folder() -> Path:
    """Return the folder of references; files are named `concept-style-background.png`."""
    return _HERE / "references"


def pool_folder() -> Path:
    """Return the pool of `fabricbo demo`: `liked/` and `disliked/` under its hand settings."""
    return _HERE / "pool"
