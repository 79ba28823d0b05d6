"""`fabricbo doctor` without a study: does this installation work."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import typer
from rich.text import Text

from fabricbo.cli.answers.answer import command, tell
from fabricbo.cli.answers.upkeep import InstallationTold
from fabricbo.cli.statuses import Status
from fabricbo.upkeep.checks import Check, Level
from fabricbo.upkeep.installation import check_installation

_STYLES: dict[Level, str] = {"good": "green", "note": "yellow", "wrong": "bold red"}


def print_installation(storage: Path, *, as_json: bool) -> None:
    """Say what works and what is lacking; status 1 where something is wrong."""
    checks = tuple(check_installation(storage))
    good = all(check.level != "wrong" for check in checks)
    next_ = (command("demo"),) if good else ()
    found = InstallationTold(good=good, checks=checks, next=next_)
    tell(found, _lines(checks), as_json=as_json)
    if not good:
        raise typer.Exit(Status.WRONG)


def _lines(checks: Sequence[Check]) -> Iterator[Text]:
    for check in checks:
        level = (f"{check.level:<6}", _STYLES[check.level])
        yield Text.assemble(level, f"{check.name}: {check.said}")
        if check.mend:
            yield Text(f"      {check.mend}")
    wrong = sum(check.level == "wrong" for check in checks)
    yield Text(f"{wrong} of {len(checks)} are wrong" if wrong else "nothing is wrong")
