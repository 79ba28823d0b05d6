"""The caricature of `experiments.benchmark.synthetic` as something that draws images.

An image's pixels hold its attributes, so that what was drawn and liked can be a reference, as in
FABRIC's own loop. Each seed adds a variation of its own, the same for all actions.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from experiments.benchmark.several import best_bounded
from experiments.benchmark.synthetic import ATTRIBUTES, SHAPES, Caricature, Shape, Vector
from experiments.raters.world import World
from fabricbo.imagefiles import pixel_hash
from fabricbo.records import PARAMETER_NAMES, Action, Reference
from fabricbo.scores import Measure
from fabricbo.space import Range

VARIATION = 0.2
"""Standard deviation of what a seed adds to each attribute; the way to what is wanted is 1.3."""
_CONCEPT, _AT_LEAST = "concept", 0.6
"""What has to be kept. Variation alone leaves 0.87 of it, the best score without the bound about
a third."""
_SIZE = (ATTRIBUTES * 4 // 6, 2)
"""Pixels that hold the attributes in single precision."""


def caricature_world(name: str, seed: int) -> World:
    """Return an instance of one of `SHAPES`."""
    made = _Drawn(SHAPES[name], seed)
    return World(
        name=name,
        settings={"prompt": "a caricature", "space": _settings(made), "seed": seed},
        space=made.space,
        pool=made.pool(0),
        sampler=made.draw,
        taste=lambda image: float(made.scores_of(_attributes(image))),
        value=made.value,
        ideal=made.optimum,
        embed=made.embed_images,
    )


def bounded_world(name: str, seed: int) -> World:
    """Return an instance of one of `SHAPES` whose images have to keep what the prompt says."""
    made, bound = _Drawn(SHAPES[name], seed), Measure(_CONCEPT, at_least=_AT_LEAST)
    world = caricature_world(name, seed)
    return replace(
        world,
        name=f"bounded-{name}",
        settings={**world.settings, "constraints": [bound.bounds_text]},
        ideal=best_bounded(made, made.values, bound),
        objectives={_CONCEPT: made.concept},
    )


class _Drawn(Caricature):
    """A caricature whose references are images."""

    def __init__(self, shape: Shape, seed: int) -> None:
        """Draw an instance, and its references as images."""
        super().__init__(shape, seed)
        pictures = [(r, _image(self._attributes[r.id])) for r in self._references]
        self._affinity = {pixel_hash(image): self._affinity[r.id] for r, image in pictures}
        self._references = tuple(
            replace(r, id=pixel_hash(image), image=image) for r, image in pictures
        )

    def shown_by(self, reference: Reference) -> Vector:
        """Read the attributes of a reference from its image."""
        return _attributes(reference.image)

    def draw(self, action: Action, _prompt: object, seeds: Sequence[int]) -> list[Image.Image]:
        """Draw one image a seed."""
        shown = self.attributes(action)
        return [_image(shown + _variation(seed)) for seed in seeds]

    def value(self, action: Action) -> float:
        """Return what an action's images score in the mean."""
        score, _ = self.values(action)
        return score

    def values(self, action: Action) -> tuple[float, float]:
        """Return what an action's images score, and how much of the prompt is left, in the mean."""
        shown = self.attributes(action) + _SEEN
        return float(self.scores_of(shown).mean()), float(self.left_of_prompt(shown).mean())

    def concept(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Measure how much of what the prompt says is left in each image."""
        return [float(self.left_of_prompt(_attributes(image))) for image in images]

    def embed_images(self, images: Sequence[Image.Image]) -> Vector:
        """Return embeddings: a fixed mixture of the attributes."""
        mixing = np.random.default_rng([self.seed, 16]).normal(size=(ATTRIBUTES, 16))
        return np.stack([_attributes(image) for image in images]) @ mixing


def _settings(made: Caricature) -> dict[str, float | list[float] | bool]:
    space = made.space
    fixed = {name: getattr(space.hand, name) for name in PARAMETER_NAMES}
    ranges = {n: [d.low, d.high] for n, d in space.domains.items() if isinstance(d, Range)}
    caps = {"max_liked": space.max_liked, "max_disliked": space.max_disliked}
    return {**fixed, **ranges, **caps, "roles": space.roles}


def _variation(seed: int) -> Vector:
    return VARIATION * np.random.default_rng([seed, 7]).normal(size=ATTRIBUTES)


_SEEN = np.stack([_variation(seed) for seed in range(64)])
"""What the value of an action is the mean over; no study draws with seeds that small."""


def _image(attributes: Vector) -> Image.Image:
    return Image.frombytes("RGB", _SIZE, attributes.astype("<f4").tobytes())


def _attributes(image: Image.Image) -> Vector:
    return np.frombuffer(image.tobytes(), dtype="<f4").astype(np.float64)
