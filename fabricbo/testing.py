"""For authors of objectives: does one keep what the contract promises?"""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from fabricbo.protocols import Objective
from fabricbo.records import Action
from fabricbo.scoring import DrawnWith, declaration, evaluate, prepare

PROMPT = "a cat"
MODES = ("RGB", "RGBA", "L", "LA", "P")
SIZE = (48, 64)


def check_objective(
    target: Objective,
    *,
    images: Sequence[Image.Image] | None = None,
    tolerance: float = 1e-4,
    batch_invariant: bool = True,
) -> None:
    """Check that an objective keeps the contract; for a test of your own.

    It scores a few pictures again and again: as many numbers as declared, all finite, the same
    ones every time, in the order of the images, the same alone as in a batch, and for every mode
    and size that an image may have.

    Args:
        target: the objective, made.
        images: at least two different ones; drawn shapes unless given.
        tolerance: how far two scores of one image may be apart, relative to the largest score.
        batch_invariant: False where an image's score depends on the others, as diversity does.

    Raises:
        AssertionError: it does not; says what was expected and what came.
        ObjectiveError: it raised, or returned what is no score.
    """
    prepare(target)
    shown = list(images) if images is not None else pictures()
    if len(shown) < 2:
        raise ValueError(f"check_objective needs at least two images, got {len(shown)}")

    def scores(of: Sequence[Image.Image]) -> list[float]:
        drawn = DrawnWith(Action(), (), tuple(range(len(of))), tuple(shown))
        return list(evaluate(target, of, PROMPT, drawn).values)

    whole = scores(shown)
    name, per_image = declaration(target).name, declaration(target).per == "image"
    slack = tolerance * max(1.0, *(abs(value) for value in whole))
    _same(f"{name}, asked twice", whole, scores(shown), slack)
    turned = scores(shown[::-1])
    if per_image and batch_invariant:
        _same(f"{name}, with the images turned round", whole, turned[::-1], slack)
        alone = [scores([image])[0] for image in shown]
        _same(f"{name}, one image at a time", whole, alone, slack)
    elif not per_image:
        _same(f"{name}, with the images turned round", whole, turned, slack)
    for mode in MODES:
        scores([image.convert(mode) for image in shown])
    scores([shown[0], shown[1].resize((31, 77))])


def pictures() -> list[Image.Image]:
    """Return four small pictures that differ in colour, shape and sharpness."""
    return [_picture(k) for k in range(4)]


def _picture(k: int) -> Image.Image:
    width, height = SIZE
    image = Image.linear_gradient("L").resize(SIZE).convert("RGB")
    draw = ImageDraw.Draw(image)
    colour = [(220, 40, 40), (40, 160, 60), (40, 80, 220), (230, 200, 40)][k % 4]
    box = (4 + 3 * k, 6 + 5 * k, width - 6, height - 4 - 4 * k)
    (draw.ellipse if k % 2 else draw.rectangle)(box, fill=colour, outline="black", width=k)
    return image


def _same(what: str, first: Sequence[float], second: Sequence[float], slack: float) -> None:
    apart = max(math.fabs(a - b) for a, b in zip(first, second, strict=True))
    if apart > slack:
        raise AssertionError(f"{what}: expected {list(first)}, got {list(second)}")
