"""Drawings parted into batches, their prompts and seeds, and images put back to their drawings."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

from PIL import Image

from fabricbo.protocols import Drawing
from fabricbo.sampler.prompts import drop_words

StepCallback = Callable[[int, int], None]
"""Called after each denoising step with its number, from 1, and the number of timesteps."""


def by_drawing(
    drawings: Sequence[Drawing], images: Sequence[Image.Image]
) -> list[list[Image.Image]]:
    """Return the images of each drawing."""
    left = iter(images)
    return [[next(left) for _ in drawing.seeds] for drawing in drawings]


def parted(drawings: Sequence[Drawing], most: int | None) -> list[list[Drawing]]:
    """Part drawings into batches of at most so many images each."""
    if most is None:
        return [list(drawings)]
    left = [zip(asked_prompts(drawing), drawing.seeds, strict=True) for drawing in drawings]

    def next_of(number: int, several: int) -> Drawing:
        prompts, seeds = zip(*islice(left[number], several), strict=True)
        return Drawing(drawings[number].action, prompts, seeds)

    images = [len(drawing.seeds) for drawing in drawings]
    return [[next_of(*part) for part in batch] for batch in shares_of_batches(images, most)]


def shares_of_batches(images: Sequence[int], most: int | None) -> list[list[tuple[int, int]]]:
    """Say for each batch, in order, how many images of which drawing are in it.

    Args:
        images: of each drawing.
        most: in a batch; None: all.

    Returns:
        Numbers of drawings, from 0, with how many of their images.
    """
    whose = [number for number, several in enumerate(images) for _ in range(several)]
    size = most or len(whose)
    parts = (whose[first : first + size] for first in range(0, len(whose), size))
    return [list(Counter(part).items()) for part in parts]


def part_of(on_step: StepCallback | None, number: int, batches: int) -> StepCallback | None:
    """Return what one of several batches tells about its steps: its share of all of them."""
    if on_step is None or batches == 1:
        return on_step
    return lambda step, steps: on_step(number * steps + step, batches * steps)


def prompts_of(drawing: Drawing) -> list[str]:
    """Return one for each image, words left out as the action says."""
    dropout = drawing.action.params.prompt_dropout
    asked = zip(asked_prompts(drawing), drawing.seeds, strict=True)
    return [drop_words(text, dropout, seed) for text, seed in asked]


def asked_prompts(drawing: Drawing) -> list[str]:
    """Return one prompt for each image."""
    prompt, seeds = drawing.prompt, drawing.seeds
    if not seeds:
        raise ValueError("drawing needs at least one seed, got none")
    prompts = [prompt] * len(seeds) if isinstance(prompt, str) else list(prompt)
    if len(prompts) != len(seeds):
        raise ValueError(f"expected one prompt a seed, got {len(prompts)} for {len(seeds)} seeds")
    return prompts
