"""What a rater sees at a terminal: the question, its images where it can show them, the sheet."""

import sys
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.style import Style
from rich.text import Text

from fabricbo.rating.choices import ASK, choices
from fabricbo.rating.contact_sheet import task_sheet, write_sheet
from fabricbo.rating.sitting import Sitting
from fabricbo.rating.terminal_images import drawer
from fabricbo.rating.veil import veiled
from fabricbo.votes import Task

WIDEST = 160
LINES_OF_TEXT = 9
"""Lines of the terminal that are not for images."""
INSTALL = "to see images here, and not in the sheets alone: pip install 'fabricbo[terminal]'"


class Screen:
    """Shows one question after the other."""

    def __init__(self, console: Console) -> None:
        """Find out whether images can be drawn: only where a person looks and types."""
        self._console = console
        self._watched = console.is_terminal and sys.stdin.isatty()
        self._draw = drawer(console)
        self._sheet: Image.Image | None = None
        self._files: dict[str, Path] = {}

    def say(self, text: str) -> None:
        """Print a line of text."""
        self._console.print(text, soft_wrap=True)

    def begin(self) -> None:
        """Say how to see images here, if that can be had."""
        if self._watched and self._draw is None and not self._console.no_color:
            self.say(INSTALL)

    def show(self, sitting: Sitting, task: Task) -> None:
        """Show a question: its images unless they are blurred, its sheet and its keys."""
        again = task.id in self._files
        self.say(f"\n{ASK[task.question.kind]}  {sitting.study.settings.prompt_text}")
        self._sheet = task_sheet(sitting.study, task)
        if not again:
            self._files[task.id] = write_sheet(self._sheet, sitting.study.folder / "rating")
        if any(veiled(sitting.study, task)) and not again:
            self.say("blurred in browsers: b shows these images here, the sheet shows them anyhow")
        else:
            self.draw()
        self._link(self._files[task.id])
        keys = [f"{choice.key} {choice.label}" for choice in choices(task)]
        self.say("   ".join((*keys, "u Undo", "q Stop")))
        left = max(sitting.progress.planned - sitting.progress.answered, 0)
        self.say(f"You answered {sitting.given}. {left} to go for all of you together.")

    def draw(self) -> None:
        """Draw the sheet of this question, as large as it fits."""
        if self._draw is None or self._sheet is None:
            return
        sheet, console = self._sheet, self._console
        height = max(console.height - LINES_OF_TEXT, 4)
        fitting = int(height * 2 * sheet.width / sheet.height)  # a cell is twice as high as wide
        self._draw(console, sheet, max(1, min(console.width - 1, fitting, WIDEST)))

    def _link(self, file: Path) -> None:
        path = (str(file), Style(link=file.resolve().as_uri()))
        self._console.print(Text.assemble("sheet: ", path), soft_wrap=True)
