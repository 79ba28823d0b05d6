"""`fabricbo show --analyses`: what Ax makes of a study."""

from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

from fabricbo.cli.consoles import results
from fabricbo.cli.errors import told
from fabricbo.cli.logs import messages
from fabricbo.cli.progress import working
from fabricbo.cli.reading import locate
from fabricbo.compose import analyse
from fabricbo.report import write_analyses
from fabricbo.study import Study

_console = results()


def print_analyses(name: str, storage: Path, *, as_json: bool) -> None:
    """Have Ax analyse a study, write a page, and say what is in it and where it is.

    With `as_json` nothing is printed: what `show` prints stays one object.
    """
    with told():
        study = Study.open(locate(name, storage))
        with working(messages(), "Ax analyses the study", str(study.folder.absolute())):
            results = analyse(study)
        page = write_analyses(study, results)
    if as_json:
        return
    table = Table("analysis", "result", box=SIMPLE)
    for result in results:
        said = result.title if result.problem is None else f"not made: {result.problem}"
        table.add_row(result.name, said)
    _console.print(table)
    _console.print(str(page), soft_wrap=True)
