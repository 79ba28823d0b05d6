"""Commands that only read: they load neither torch nor ax."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from fabricbo.cli.answers.answer import command, tell
from fabricbo.cli.answers.files import Compared, Page, Template
from fabricbo.cli.answers.studies import Studies, StudyFacts, Unreadable, brief, shown
from fabricbo.cli.consoles import asides
from fabricbo.cli.errors import told
from fabricbo.cli.logs import messages
from fabricbo.cli.progress import working
from fabricbo.cli.wording import (
    heldout_lines,
    missed_bounds,
    references,
    score_texts,
    varying,
)
from fabricbo.records import Trial
from fabricbo.report import write_comparison, write_pdf, write_report
from fabricbo.report.wording import expectation, going_on
from fabricbo.study import NotAStudyError, Study, StudyError
from fabricbo.study.database import Database
from fabricbo.study.file import template
from fabricbo.study.location import Location, is_study, named_in_database


def locate(name: str, storage: Path) -> Path:
    """Return the folder of a study, given its folder or its name.

    One in a database may be given as `postgresql://HOST/DATABASE#NAME` on a machine that has not
    met it: its folder is made.

    Raises:
        NotAStudyError: there is none; names those that there are.
    """
    elsewhere = named_in_database(name)
    if elsewhere is not None:
        return _meet(*elsewhere, storage)
    for folder in (Path(name), storage / name):
        if is_study(folder):
            return folder
    known = ", ".join(folder.name for folder in _studies(storage))
    there = f"there: {known}" if known else "there is none there; --storage names another folder"
    raise NotAStudyError(f"no study {name!r} in {storage}; {there}")


def _studies(storage: Path) -> list[Path]:
    return sorted(folder for folder in storage.glob("*") if is_study(folder))


def _meet(url: str, name: str, storage: Path) -> Path:
    location = Location.new(storage / name, url)
    if not is_study(location.folder):
        Database(location).close()  # it is there, and can be read
        location.point()
    return location.folder


def write_template(file: Path, *, as_json: bool) -> None:
    """Write the template of a study file, unless there is a file already."""
    with told():
        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(template())
        except FileExistsError:
            raise ValueError(f"{file} exists already; name another file") from None
    found = Template(file=str(file), next=(command("run", file),))
    tell(found, [f"wrote {file}; edit it, then run it"], as_json=as_json)


def print_list(storage: Path, *, as_json: bool) -> None:
    """Print the studies of a folder."""
    rows, broken = [], []
    for folder in _studies(storage):
        try:
            rows.append(brief(Study.open(folder)))
        except (StudyError, ValueError, OSError) as error:  # one damaged study hides no other
            broken.append(Unreadable(folder=str(folder), error=str(error)))
            asides().print(f"cannot read {folder}: {error}", soft_wrap=True)
    next_ = () if rows or broken else (command("demo"), command("init"))
    found = Studies(studies=tuple(rows), broken=tuple(broken), next=next_)
    tell(found, [_list_table(rows) if rows else f"no studies in {storage}"], as_json=as_json)


def _list_table(rows: Sequence[StudyFacts]) -> Table:
    table = Table("study", "prompt", "trials", "baseline", "best")
    for row in rows:
        trials = f"{row.finished} of {row.planned}"
        table.add_row(row.name, row.prompt, trials, _number(row.baseline), _number(row.best))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def print_study(name: str, storage: Path, *, as_json: bool) -> None:
    """Print a study's trials and its best settings."""
    with told():
        study = Study.open(locate(name, storage))
    tell(shown(study), study_lines(study), as_json=as_json)


def study_lines(study: Study) -> Iterator[RenderableType]:
    """Say a study's trials and its best settings."""
    yield f"{study.settings.name}: {study.settings.prompt_text!r}, {_aims(study)}"
    if study.forked_from is not None:
        yield f"goes on from {study.forked_from}"
    yield _trial_table(study)
    for trial in study.trials:
        if trial.reason is not None:
            yield Text(f"trial {trial.index} failed: {trial.reason}", style="red")
    if (best := study.best()) is not None:
        yield _best_table(study, best)
    if len(front := study.pareto()) > 1 and sum(not m.is_constraint for m in study.measures) > 1:
        found = ", ".join(str(trial.index) for trial in front)
        yield f"none beats trials {found} in all objectives"
    for line in missed_bounds(study):
        yield Text(line, style="red")
    for said in (expectation(study), going_on(study)):
        if said is not None:
            yield said
    yield from heldout_lines(study)


def _aims(study: Study) -> str:
    """Say what is wanted of the images, and who picks the actions."""
    wanted = [
        m.bounds_text if m.is_constraint else f"{m.direction} {m.name}" for m in study.measures
    ]
    return f"{', '.join(wanted)}, actions by {study.settings.proposer}"


def _trial_table(study: Study) -> Table:
    parameters, best, trials = study.space.parameters, study.best(), study.trials
    # A word a line: eighty columns are enough for what usually varies.
    names = [name.replace("_", "\n") for name in parameters]
    several = len(study.measures) > 1
    scores = [
        measure.name.replace("-", "-\n") if several else "score" for measure in study.measures
    ]
    header = ("trial", "by", *scores, *names, "liked,\ndisliked")
    rows = [
        (
            *(str(trial.index), trial.source, *score_texts(trial, study.measures)),
            *varying(trial, parameters),
            f"{len(trial.action.liked)}, {len(trial.action.disliked)}",
        )
        for trial in trials
    ]
    # Rich would look at each cell of thousands twice to find the widths out.
    widths = [max(map(cell_len, cells)) for cells in zip(*_lines(header), *rows, strict=True)]
    columns = (Column(n, no_wrap=True, width=w) for n, w in zip(header, widths, strict=True))
    table = Table(*columns, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for trial, row, following in zip(trials, rows, [*trials[1:], None], strict=True):
        table.add_row(
            *row,
            style="bold green" if best is not None and trial.index == best.index else None,
            end_section=following is not None and following.round != trial.round,
        )
    return table


def _lines(cells: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Return the first line of each cell, then the second, and so on."""
    return zip_longest(*(cell.split("\n") for cell in cells), fillvalue="")


def _best_table(study: Study, best: Trial) -> Table:
    hand = study.space.hand_action(study.rounds[0].pool)
    table = Table("", "hand settings", f"best: trial {best.index}", box=SIMPLE)
    for name in study.space.parameters:
        values = [f"{getattr(action.params, name):.3g}" for action in (hand, best.action)]
        table.add_row(name, *values)
    both = (hand, best.action)
    table.add_row("liked", *(references(action, action.liked) for action in both))
    table.add_row("disliked", *(references(action, action.disliked) for action in both))
    return table


def print_report(name: str, storage: Path, *, pdf: bool, as_json: bool) -> None:
    """Write a study's page and say where it is."""
    with told():
        folder = locate(name, storage)
        with working(messages(), "writing the page", str(folder.absolute())):
            page = write_report(Study.open(folder))
            printed = write_pdf(page) if pdf else None
    _tell_page(Page(study=str(folder), page=str(page), pdf=_path(printed)), as_json=as_json)


def print_comparison(
    names: Sequence[str], storage: Path, target: Path | None, *, pdf: bool, as_json: bool
) -> None:
    """Write a page about several studies and say where it is."""
    with told():
        folders = [locate(name, storage) for name in names]
        to = target or storage / "compare.html"
        if not to.parent.is_dir():
            raise ValueError(f"there is no folder {to.parent} to write to")
        with working(messages(), "writing the page", str(to.absolute())):
            page = write_comparison([Study.open(folder) for folder in folders], to)
            printed = write_pdf(page) if pdf else None
    compared = tuple(map(str, folders))
    _tell_page(Compared(studies=compared, page=str(page), pdf=_path(printed)), as_json=as_json)


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _tell_page(found: Page | Compared, *, as_json: bool) -> None:
    tell(found, filter(None, (found.page, found.pdf)), as_json=as_json)
