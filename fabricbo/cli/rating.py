"""`fabricbo rate`: somebody rates at this terminal."""

from pathlib import Path

import typer

from fabricbo.cli.consoles import results
from fabricbo.cli.errors import told
from fabricbo.cli.reading import locate
from fabricbo.cli.statuses import Status
from fabricbo.rating.keyboard import standard_reader
from fabricbo.rating.screen import Screen
from fabricbo.rating.sitting import logged_in
from fabricbo.rating.terminal import rate_here
from fabricbo.study import Study

_console = results()


def rate_study(name: str, storage: Path, rater: str | None) -> None:
    """Ask somebody until nothing is left, or they stop."""
    with told():
        study = Study.open(locate(name, storage))
        who = logged_in() if rater is None else rater
        _console.print(f"{study.settings.name}, rated by {who}", soft_wrap=True)
        try:
            rate_here(study, who, standard_reader(), Screen(_console))
        except KeyboardInterrupt:
            _console.print("\nstopped; everything is kept. The same command goes on.")
            raise typer.Exit(Status.INTERRUPTED) from None
