"""Putting back what is missing or damaged: from the pool's folder, or by drawing it again.

What comes out different is not put back: an image is what its name says, or it is not there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from fabricbo.imagefiles import image_files, open_image, pixel_hash
from fabricbo.protocols import Sampler
from fabricbo.study import Study
from fabricbo.study.images import ImageStore
from fabricbo.upkeep.examination import Harm
from fabricbo.upkeep.replay import draw_again, draw_held_out_again


def set_aside(images: ImageStore, harms: Sequence[Harm]) -> list[str]:
    """Move damaged files out of the way, and return where they are now; none is deleted."""
    return [images.set_aside(harm.image) for harm in harms if harm.state == "damaged"]


def find_again(images: ImageStore, harms: Sequence[Harm], *places: Path) -> list[str]:
    """Put back images whose pixels lie in other folders, and return which."""
    wanted = {harm.image for harm in harms}
    found: list[str] = []
    for place in places:
        for file in _files(place):
            try:
                image = open_image(file)
            except (ValueError, OSError):
                continue
            if pixel_hash(image) in wanted - {*found}:
                found.append(images.save(image))
    return found


def _files(place: Path) -> list[Path]:
    folders = [place, place / "liked", place / "disliked"]
    return [file for folder in folders if folder.is_dir() for file in image_files(folder)]


def make_again(
    study: Study, harms: Sequence[Harm], sampler: Sampler, tell: Callable[[str], None]
) -> list[str]:
    """Draw images of trials again and put back those that come out equal; returns which.

    Args:
        study: whose references are all there.
        harms: what is wrong.
        sampler: what drew them.
        tell: told which trial is drawn, and what came of it.
    """
    wanted, trials = {harm.image for harm in harms}, study.trials
    found: list[str] = []
    drawers = {"trial": draw_again, "held out": draw_held_out_again}
    uses = [(use.kind, use.number, use.text) for harm in harms for use in harm.uses]
    for kind, number, text in dict.fromkeys(use for use in uses if use[0] in drawers):
        missing = wanted - {*found}
        again = drawers[kind](study, trials[number], sampler)
        equal = {one.identity: one for one in again if one.equal and one.identity in missing}
        found += [study.images.save(one.image, one.origin) for one in equal.values()]
        short = len({one.identity for one in again} & missing) - len(equal)
        told = f", {short} came out different and cannot be put back" if short else ""
        tell(f"{text} drawn again: {len(equal)} put back{told}")
    return found
