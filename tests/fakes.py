"""Small real parts for studies: they draw and score in microseconds."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fabricbo.protocols import History, Objective, Proposal
from fabricbo.records import Action, Reference
from fabricbo.study import Parts, Study, check_settings
from tests.tiny import reference

POOL = (reference("red"), reference("green"), reference("blue"))


class ColourSampler:
    """Draws one-coloured images: red by the weight, green by the seed, blue by liked references."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(
        self, action: Action, prompt: str | Sequence[str], seeds: Sequence[int]
    ) -> list[Image.Image]:
        self.calls += 1
        red = round(255 * min(action.params.max_weight / 2, 1))
        return [
            Image.new("RGB", (8, 8), (red, seed % 256, 40 * len(action.liked))) for seed in seeds
        ]


class UnitProposer:
    """Draws from the unit cube; hand settings first."""

    def propose(self, history: History, /) -> Proposal:
        if not history.trials:
            return Proposal(history.space.hand_action(history.pool), "hand")
        rng = random.Random(f"{history.seed} {len(history.trials)}")
        point = [rng.random() for _ in range(history.space.dimensions(history.pool))]
        return Proposal(history.space.from_unit(point, history.pool), "random")


def redness(images: Sequence[Image.Image], prompt: str) -> list[float]:
    """Score by red, a little by green, which differs from image to image."""
    return [image.getpixel((0, 0))[0] + image.getpixel((0, 0))[1] / 100 for image in images]


def fake_study(
    storage: Path,
    *,
    objective: Objective | Mapping[str, Objective] = redness,
    pool: Sequence[Reference] = POOL,
    growing: Mapping[str, int] | None = None,
    **settings: Any,
) -> Study:
    """Make a study of fake parts: 2 rounds of 3 trials of 2 images unless told otherwise."""
    values: dict[str, Any] = {
        "name": "fake",
        "prompt": "a cat",
        "rounds": 2,
        "trials": 3,
        "heldout": 6,
        "images": 2,
    }
    values["pool"] = growing or {}
    checked = check_settings({**values, "storage": storage, **settings})
    return Study.create(checked, Parts(UnitProposer(), ColourSampler(), objective), pool)
