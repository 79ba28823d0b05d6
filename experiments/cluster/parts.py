"""What a simulated study works with: tiny images, a score that the surrogate has something to learn
from, and no network."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from experiments.benchmark.synthetic import Caricature, Shape
from fabricbo.imagefiles import pixel_hash
from fabricbo.protocols import Environment
from fabricbo.records import Action, Reference
from fabricbo.study import StudySettings, check_settings

_REFERENCES = 8
_TRIALS_A_ROUND = 50


def make_pool() -> tuple[Reference, ...]:
    """Return references of one colour each."""
    colours = [(30 * number, 255 - 30 * number, 90) for number in range(_REFERENCES)]
    images = [Image.new("RGB", (8, 8), colour) for colour in colours]
    return tuple(Reference(pixel_hash(image), f"r{n}", image) for n, image in enumerate(images))


def make_settings(storage: Path, name: str, proposer: str, database: str | None) -> StudySettings:
    """Return the settings of a study that does not come to an end by itself."""
    return check_settings(
        {
            "name": name,
            "prompt": "a cat",
            "storage": storage,
            "database": database,
            "proposer": proposer,
            "rounds": 200,
            "trials": _TRIALS_A_ROUND,
            "images": 4,
            "heldout": 0,
            "space": {"guidance_scale": [1.0, 12.0]},
        }
    )


class Painter:
    """Draws images of one colour, which depends on action and seed."""

    environment: ClassVar[Environment] = {"scheduler": "none", "weights": "0" * 64}

    def __call__(
        self, action: Action, _prompt: str | Sequence[str], seeds: Sequence[int]
    ) -> list[Image.Image]:
        """Return an image a seed."""
        return [Image.new("RGB", (8, 8), _colour(action, seed)) for seed in seeds]

    def embed(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float64]:
        """Return the colours."""
        return np.array([image.getpixel((0, 0)) for image in images], dtype=np.float64)


def _colour(action: Action, seed: int) -> tuple[int, int, int]:
    red, green, blue = sha256(f"{action.to_json()} {seed}".encode()).digest()[:3]
    return red, green, blue


class Likeness:
    """Scores as one of the synthetic problems of the benchmark does, noise by seed included."""

    def __init__(self, seed: int = 0) -> None:
        """Draw an instance."""
        self._problem = Caricature(Shape(_REFERENCES, 5), seed)
        self._known = {reference.name: reference for reference in self._problem.pool(0)}

    def __call__(
        self, images: Sequence[Image.Image], _prompt: str, *, action: Action, seeds: Sequence[int]
    ) -> list[float]:
        """Return a score an image."""
        liked, disliked = (
            tuple(self._known[r.name] for r in of_role)
            for of_role in (action.liked, action.disliked)
        )
        value = self._problem.value(Action(action.params, liked, disliked))
        noise = [np.random.default_rng([seed, len(images)]).standard_normal() for seed in seeds]
        return [value + self._problem.shape.noise * float(one) for one in noise]
