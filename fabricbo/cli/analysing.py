"""`fabricbo show --analyses`: a study, and what Ax makes of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import RenderableType
from rich.table import Table

from fabricbo.assessment import Analysed
from fabricbo.cli.answers.answer import tell
from fabricbo.cli.answers.studies import shown
from fabricbo.cli.errors import told
from fabricbo.cli.logs import messages
from fabricbo.cli.progress import working
from fabricbo.cli.reading import locate, study_lines
from fabricbo.compose import analyse
from fabricbo.report import write_analyses
from fabricbo.study import Study


def print_analysed(name: str, storage: Path, *, as_json: bool) -> None:
    """Have Ax analyse a study, write a page, and say all that `show` says, and where it is."""
    with told():
        study = Study.open(locate(name, storage))
        with working(messages(), "Ax analyses the study", str(study.folder.absolute())):
            found = analyse(study)
        page = write_analyses(study, found)
    tell(shown(study, page), _lines(study, found, page), as_json=as_json)


def _lines(study: Study, found: Sequence[Analysed], page: Path) -> Iterator[RenderableType]:
    yield from study_lines(study)
    table = Table("analysis", "result", box=SIMPLE)
    for one in found:
        table.add_row(one.name, one.title if one.problem is None else f"not made: {one.problem}")
    yield table
    yield str(page)
