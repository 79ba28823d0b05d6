"""Small tasks for the bundled checkpoint, shared by `fabricbo demo`, benchmarks and tests.

Each has an optimum inside the space: neither no feedback nor as much of it as possible is best.
`docs/demo.md` shows how each responds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fabricbo.demo import pools_folder, references_folder


@dataclass(frozen=True, slots=True)
class DemoTask:
    """What to draw, from which references, and what counts as good."""

    name: str
    about: str
    """What is searched for and what makes it hard, in a sentence."""
    prompt: str
    pool: tuple[str, ...]
    """Bundled references, `concept-style-background`; all are liked under the hand settings, as
    by somebody who has collected pictures and does not know which of them help."""
    helpful: tuple[str, ...]
    """Those that share with the target what the prompt leaves open; for tests and reports."""
    target: str
    """A bundled picture that images are compared with."""
    objective: Mapping[str, Any] = field(default_factory=lambda: {"name": "target-similarity"})
    """An installed objective and its options besides the target."""
    good: Mapping[str, float] = field(
        default_factory=lambda: {"max_weight": 0.8, "feedback_end": 0.25}
    )
    """Settings that do well with the helpful references, from a coarse grid."""

    @property
    def pool_folder(self) -> Path:
        """Where the pictures of the pool lie."""
        return pools_folder() / self.name

    @property
    def target_path(self) -> Path:
        """Where the picture lies that images are compared with."""
        return references_folder() / f"{self.target}.png"

    def settings(self) -> dict[str, Any]:
        """Return what a study file needs to hold, besides the name."""
        return {
            "prompt": self.prompt,
            "checkpoint": "demo",
            "space": {
                "guidance_scale": 3.0,
                "feedback_start": [0.0, 1.0],
                "feedback_end": [0.0, 1.0],
                "max_weight": [0.0, 1.5],
                "neg_scale": [0.0, 1.0],
                "max_liked": len(self.pool),
                "max_disliked": len(self.pool),
            },
            "pool": {"folder": self.pool_folder},
            "objective": {**self.objective, "target": str(self.target_path)},
        }


_STICKERS = (
    *("frog-sticker-pink", "gift-sticker-purple"),
    *("watermelon-sticker-blue", "sunflower-sticker-red"),
)
_ALL = (
    DemoTask(
        name="style-and-background",
        about="the style of some references on the background of others, the rest harmful",
        prompt="a cat",
        pool=(
            *("house-sketch-purple", "star-sketch-yellow", "apple-3d-green", "car-sticker-green"),
            *("heart-gold-red", "crown-gold-orange", "bell-monochrome-pink", "fish-3d-orange"),
        ),
        helpful=(
            "house-sketch-purple",
            "star-sketch-yellow",
            "apple-3d-green",
            "car-sticker-green",
        ),
        target="cat-sketch-green",
    ),
    DemoTask(
        name="style-only",
        about="the style of some references, but the background that the prompt names",
        prompt="a dog on a blue background",
        pool=(
            *("lion-gold-red", "teapot-gold-green", "tree-gold-pink"),
            *("tulip-sticker-gray", "balloon-sketch-orange", "mushroom-pixel-yellow"),
        ),
        helpful=("lion-gold-red", "teapot-gold-green", "tree-gold-pink"),
        target="dog-gold-blue",
    ),
    DemoTask(
        name="harmful-pool",
        about="the style of two references of ten, the others lead away",
        prompt="a fox on a green background",
        pool=(
            *("pumpkin-gold-purple", "bus-gold-pink", "moon-sketch-blue"),
            *("anchor-sketch-purple", "pizza-sticker-red", "whale-3d-pink", "owl-pixel-orange"),
            *("robot-pixel-blue", "strawberry-monochrome-yellow", "penguin-sticker-gray"),
        ),
        helpful=("pumpkin-gold-purple", "bus-gold-pink"),
        target="fox-gold-green",
        good={"max_weight": 0.4, "feedback_end": 0.25},
    ),
    DemoTask(
        name="diversity",
        about="the style of the references, but images that differ from each other",
        prompt="a rocket",
        pool=_STICKERS,
        helpful=_STICKERS,
        target="rocket-sticker-yellow",
        objective={"name": "diverse-similarity", "diversity_weight": 0.15},
        good={"max_weight": 0.1, "feedback_end": 0.5},
    ),
)
TASKS: Mapping[str, DemoTask] = {task.name: task for task in _ALL}
"""By name; the first is the one of `fabricbo demo`."""
DEFAULT_TASK = _ALL[0].name
