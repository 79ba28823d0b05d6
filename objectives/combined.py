"""One objective made of several: a weighted sum, or a product.

Scores of preference models compare images of one prompt only, and each has a scale of its own;
`normalise` measures every part against the images of the hand settings for the same prompt.
"""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any, Literal

from PIL import Image

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import pixel_hash
from fabricbo.scoring import DrawnWith, Part, declaration, evaluate, prepare

HandScores = tuple[float, float]
"""Mean and standard deviation of what the hand settings scored for one prompt."""


@objective(
    name="combined",
    card=Card(
        scale="that of its parts; normalised: 0 (sum) or 1 (product) is as good as hand settings",
        source="sum of w * s, or product of s ** w; normalised s: (s - mean) / deviation, s / mean",
        licence="this project",
    ),
)
class Combined:
    """Several objectives as one: the sum of their scores times weights, or a product of powers.

    In a sum a part that is minimized counts negative, in a product as 1 / score; nothing makes up
    for a factor near zero. With `normalise`, a part's score counts in standard deviations from the
    mean (sum), or divided by the mean (product), of what it gives the images that the hand
    settings drew for the same prompt in the first round.
    """

    def __init__(
        self,
        parts: Sequence[Part] = (),
        how: Literal["sum", "product"] = "sum",
        *,
        normalise: bool = False,
    ) -> None:
        """Take the parts.

        Args:
            parts: `[[objective.parts]]` of a study file: objectives, each with a `weight`.
            how: `sum` or `product`.
            normalise: whether parts are measured against the hand settings.

        Raises:
            ObjectiveError: no parts, two of the same name, or an option that is not one.
        """
        if not parts:
            raise ObjectiveError("parts: name at least one objective, as [[objective.parts]]")
        names = [part.name for part in parts]
        if len(set(names)) != len(names):
            raise ObjectiveError(f"parts must have different names, got {', '.join(names)}")
        if how not in ("sum", "product"):
            raise ObjectiveError(f"how must be sum or product, got {how!r}")
        if not isinstance(normalise, bool):
            raise ObjectiveError(f"normalise must be true or false, got {normalise!r}")
        self._parts = tuple(parts)
        self._term = _summand if how == "sum" else _factor
        self._total: Callable[[Sequence[float]], float]
        self._total = math.fsum if how == "sum" else math.prod
        self._as_is: HandScores = (0.0, 1.0) if how == "sum" else (1.0, 0.0)
        self._normalise = normalise
        self._hand_scores: dict[tuple[str, str, tuple[str, ...]], HandScores] = {}

    def load(self) -> None:
        """Load what the parts need."""
        for part in self._parts:
            prepare(part.objective)

    @property
    def embed(self) -> Callable[[Sequence[Image.Image]], Any] | None:
        """The embeddings of the first part that has some."""
        found = (getattr(part.objective, "embed", None) for part in self._parts)
        return next((embed for embed in found if embed is not None), None)

    def __call__(
        self, images: Sequence[Image.Image], prompt: str, *, drawn: DrawnWith | None = None
    ) -> list[float]:
        """Return one number an image; what scores a batch counts for each of its images.

        Raises:
            ObjectiveError: a part fails, or its scores cannot be normalised or multiplied.
        """
        terms = [self._terms(part, images, prompt, drawn) for part in self._parts]
        return [self._total(column) for column in zip(*terms, strict=True)]

    def _terms(
        self, part: Part, images: Sequence[Image.Image], prompt: str, drawn: DrawnWith | None
    ) -> list[float]:
        values = evaluate(part.objective, images, prompt, drawn).values
        if len(values) < len(images):
            values = values * len(images)
        baseline = () if drawn is None else drawn.baseline
        hand = self._hand(part, prompt, baseline) if self._normalise else self._as_is
        return [self._term(part, value, hand) for value in values]

    def _hand(self, part: Part, prompt: str, baseline: Sequence[Image.Image]) -> HandScores:
        """Score the hand settings' images for a prompt; the same ones once."""
        if not baseline:
            raise ObjectiveError(
                "normalise compares with the images of the hand settings, and there are none"
            )
        key = (part.name, prompt, tuple(map(pixel_hash, baseline)))
        if key not in self._hand_scores:
            values = evaluate(part.objective, baseline, prompt).values
            self._hand_scores[key] = (fmean(values), stdev(values) if len(values) > 1 else 0.0)
        return self._hand_scores[key]


def _summand(part: Part, value: float, hand: HandScores) -> float:
    mean, deviation = hand
    if deviation <= 0:
        raise ObjectiveError(
            f"{part.name} gives the images of the hand settings one and the same score, so there "
            "is no scale to normalise by; draw more images a trial, or leave normalise out"
        )
    return _sign(part) * part.weight * (value - mean) / deviation


def _factor(part: Part, value: float, hand: HandScores) -> float:
    mean, _ = hand
    divides = _sign(part) < 0
    if value < 0 or mean <= 0 or (divides and value == 0):
        raise ObjectiveError(
            "a product needs scores of at least 0, and above 0 where they divide; "
            f"{part.name} gave {value:g}, and {mean:g} as the mean of the hand settings"
        )
    return float((value / mean) ** (_sign(part) * part.weight))


def _sign(part: Part) -> int:
    return 1 if declaration(part.objective).direction == "maximize" else -1
