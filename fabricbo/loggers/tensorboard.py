"""TensorBoard: numbers and images by trial."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fabricbo.events import HeldOut, StudyBegun, StudyEnded, StudyEvent, TrialOver
from fabricbo.loggers.numbers import directions, heldout_numbers, trial_numbers

if TYPE_CHECKING:
    from PIL.Image import Image


class TensorBoard:
    """Writes event files into `tensorboard/` in the study's folder, or into another folder.

    `tensorboard --logdir` shows them; the step is the trial's number.
    """

    def __init__(self, folder: str | None = None, *, images: bool = True) -> None:
        """Take where to write, and whether images are."""
        self._folder = None if folder is None else Path(folder)
        self._images = images
        self._writer: Any = None

    def log(self, event: StudyEvent, /) -> None:
        """Write an event; on disk when this returns."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            folder = self._folder or event.about.folder / "tensorboard"
            self._writer = SummaryWriter(str(folder))
        writer, at = self._writer, event.time.timestamp()
        if isinstance(event, StudyBegun):
            text = json.dumps(dict(event.about.settings), indent=2)
            writer.add_text("settings", f"```\n{text}\n```", 0, walltime=at)
            writer.add_text("directions", str(directions(event.about)), 0, walltime=at)
        elif isinstance(event, TrialOver):
            step = event.trial.index
            for name, value in trial_numbers(event).items():
                writer.add_scalar(name, value, step, walltime=at)
            self._show("images", event.images, step, at)
        elif isinstance(event, HeldOut):
            for name, value in heldout_numbers(event).items():
                writer.add_scalar(name, value, event.trial, walltime=at)
            self._show("heldout/baseline", event.baseline_images, event.trial, at)
            self._show("heldout/best", event.best_images, event.trial, at)
        writer.flush()
        if isinstance(event, StudyEnded):
            writer.close()
            self._writer = None

    def _show(self, tag: str, images: "tuple[Image, ...]", step: int, at: float) -> None:
        for number, image in enumerate(images if self._images else ()):
            pixels = np.asarray(image.convert("RGB"))
            name = f"{tag}/{number}"
            self._writer.add_image(name, pixels, step, walltime=at, dataformats="HWC")
