"""Drawings parted into batches, their prompts and seeds, and images put back to their drawings."""

from collections.abc import Callable, Sequence

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
    batches: list[list[Drawing]] = []
    room = 0
    for drawing in drawings:
        prompts, seeds = asked_prompts(drawing), list(drawing.seeds)
        while seeds:
            if room == 0:
                batches.append([])
                room = most
            now = Drawing(drawing.action, prompts[:room], seeds[:room])
            batches[-1].append(now)
            prompts, seeds = prompts[room:], seeds[room:]
            room -= len(now.seeds)
    return batches


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
