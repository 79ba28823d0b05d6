"""Images of a question side by side in one PNG file, with big numbers: any viewer shows it."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fabricbo.study import Study
from fabricbo.votes import Task

EDGE = 512
"""Pixels of an image's longer side, at most; small ones are enlarged to half of it."""
GAP = 16
NUMBER = 6
"""A number is as high as one part in so many of its image."""
IN_A_ROW = 4
PAPER, INK = "white", "black"


def contact_sheet(images: Sequence[Image.Image]) -> Image.Image:
    """Return images in rows, from the left, each with its number below, from 1."""
    fitted = [_fitted(image) for image in images]
    width = max(image.width for image in fitted)
    height = max(image.height for image in fitted)
    strip = max(height // NUMBER, 24)
    columns = min(len(fitted), IN_A_ROW)
    rows = -(-len(fitted) // columns)
    size = (GAP + columns * (width + GAP), GAP + rows * (height + strip + GAP))
    sheet = Image.new("RGB", size, PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(strip * 0.9)
    for place, image in enumerate(fitted):
        left = GAP + place % columns * (width + GAP)
        top = GAP + place // columns * (height + strip + GAP)
        sheet.paste(image, (left + (width - image.width) // 2, top + height - image.height))
        middle = (left + width // 2, top + height + strip // 2)
        pen.text(middle, str(place + 1), INK, font, anchor="mm")
    return sheet


def _fitted(image: Image.Image) -> Image.Image:
    longest = max(image.size)
    factor = min(EDGE / longest, max(1, EDGE // 2 // longest))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, how)


def task_sheet(study: Study, task: Task) -> Image.Image:
    """Return the sheet of a task, in the order in which this rater sees its images."""
    return contact_sheet([study.images.load(option.image) for option in task.shown])


def write_sheet(sheet: Image.Image, folder: Path) -> Path:
    """Write a sheet as `sheet-N.png` with the next free number, and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = [file.stem.removeprefix("sheet-") for file in folder.glob("sheet-*.png")]
    number = max((int(one) for one in taken if one.isdigit()), default=0) + 1
    while True:
        path = folder / f"sheet-{number}.png"
        try:
            with path.open("xb") as file:  # several raters may sit at one study
                sheet.save(file, "PNG")
        except FileExistsError:
            number += 1
        else:
            return path
