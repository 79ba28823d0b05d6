"""The images of the best trial: drawn in terminals that can, and where their files are."""

from collections.abc import Iterator, Sequence

from rich.console import Console

from fabricbo.rating.contact_sheet import contact_sheet
from fabricbo.rating.terminal_images import drawer
from fabricbo.study import Study, StudyError

MOST = 4
"""Images that are shown: a row of them."""
WIDEST = 80
"""Characters that they take in all."""


def draw_best(console: Console, study: Study) -> None:
    """Draw them, where a person looks and the terminal can."""
    best = study.best()
    if best is None or not best.images:
        return
    draw = drawer(console)
    if draw is None:
        return
    try:
        sheet = contact_sheet([study.images.load(identity) for identity in best.images[:MOST]])
    except (OSError, ValueError, StudyError) as error:  # all else that the run came to is told
        console.print(f"the best images cannot be shown: {error}", soft_wrap=True)
        return
    draw(console, sheet, max(1, min(console.width - 1, WIDEST)))


def best_lines(files: Sequence[str]) -> Iterator[str]:
    """Say where they are, those that are drawn at least."""
    for file in files[:MOST]:
        yield f"  {file}"
    if len(files) > MOST:
        yield f"  and {len(files) - MOST} more"
