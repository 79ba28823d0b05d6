"""Commands that only read: they load neither torch nor ax."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from fabricbo.cli.errors import told
from fabricbo.cli.wording import (
    heldout_lines,
    missed_bounds,
    references,
    score_texts,
    study_json,
    varying,
)
from fabricbo.records import Trial
from fabricbo.report import write_comparison, write_pdf, write_report
from fabricbo.report.wording import expectation, going_on
from fabricbo.study import NotAStudyError, Study, StudyError
from fabricbo.study.database import Database
from fabricbo.study.file import template
from fabricbo.study.location import Location, is_study, named_in_database

_console = Console(highlight=False, markup=False, emoji=False)  # names and prompts are text


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
    known = ", ".join(folder.name for folder in _studies(storage)) or "none"
    raise NotAStudyError(f"no study {name!r} in {storage}; there: {known}")


def _studies(storage: Path) -> list[Path]:
    return sorted(folder for folder in storage.glob("*") if is_study(folder))


def _meet(url: str, name: str, storage: Path) -> Path:
    location = Location.new(storage / name, url)
    if not is_study(location.folder):
        Database(location).close()  # it is there, and can be read
        location.point()
    return location.folder


def write_template(file: Path) -> None:
    """Write the template of a study file, unless there is a file already."""
    with told():
        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(template())
        except FileExistsError:
            raise ValueError(f"{file} exists already; name another file") from None
    _console.print(f"wrote {file}; run it with: fabricbo run {file}", soft_wrap=True)


def print_list(storage: Path, *, as_json: bool) -> None:
    """Print the studies of a folder."""
    rows = []
    for folder in _studies(storage):
        try:
            rows.append(study_json(Study.open(folder)))
        except (StudyError, ValueError, OSError) as error:  # one damaged study hides no other
            print(f"cannot read {folder}: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps({"studies": [_brief(row) for row in rows]}, allow_nan=False))
        return
    table = Table("study", "prompt", "trials", "baseline", "best")
    for row in rows:
        numbers = [_number(row[key]) for key in ("baseline", "best")]
        trials = f"{row['finished']} of {row['planned']}"
        table.add_row(row["name"], row["prompt"], trials, *numbers)
    _console.print(table if rows else f"no studies in {storage}")


def _brief(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if key not in ("trials", "effects")}


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-"


def print_study(name: str, storage: Path, *, as_json: bool) -> None:
    """Print a study's trials and its best settings."""
    with told():
        study = Study.open(locate(name, storage))
    if as_json:
        print(json.dumps(study_json(study), allow_nan=False))
        return
    _console.print(f"{study.settings.name}: {study.settings.prompt_text!r}, {_aims(study)}")
    if study.forked_from is not None:
        _console.print(f"goes on from {study.forked_from}", soft_wrap=True)
    _console.print(_trial_table(study))
    _print_failures(study)
    if (best := study.best()) is not None:
        _console.print(_best_table(study, best))
    if len(front := study.pareto()) > 1 and sum(not m.is_constraint for m in study.measures) > 1:
        found = ", ".join(str(trial.index) for trial in front)
        _console.print(f"none beats trials {found} in all objectives", soft_wrap=True)
    for line in missed_bounds(study):
        _console.print(line, style="red", soft_wrap=True)
    for said in (expectation(study), going_on(study)):
        if said is not None:
            _console.print(said, soft_wrap=True)
    for line in heldout_lines(study):
        _console.print(line, soft_wrap=True)


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
    columns = (Column(name, no_wrap=True) for name in header)
    table = Table(*columns, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for trial, following in zip(trials, [*trials[1:], None], strict=True):
        counts = f"{len(trial.action.liked)}, {len(trial.action.disliked)}"
        table.add_row(
            *(str(trial.index), trial.source, *score_texts(trial, study.measures)),
            *varying(trial, parameters),
            counts,
            style="bold green" if best is not None and trial.index == best.index else None,
            end_section=following is not None and following.round != trial.round,
        )
    return table


def _print_failures(study: Study) -> None:
    for trial in study.trials:
        if trial.reason is not None:
            _console.print(f"trial {trial.index} failed: {trial.reason}", style="red")


def _best_table(study: Study, best: Trial) -> Table:
    hand = study.space.hand_action(study.rounds[0].pool)
    table = Table("", "hand settings", f"best: trial {best.index}", box=SIMPLE)
    for name in study.space.parameters:
        values = [f"{getattr(action.params, name):.3g}" for action in (hand, best.action)]
        table.add_row(name, *values)
    table.add_row("liked", references(hand.liked), references(best.action.liked))
    table.add_row("disliked", references(hand.disliked), references(best.action.disliked))
    return table


def print_report(name: str, storage: Path, *, pdf: bool = False) -> None:
    """Write a study's page and say where it is."""
    with told():
        _say_where(write_report(Study.open(locate(name, storage))), pdf=pdf)


def print_comparison(
    names: Sequence[str], storage: Path, target: Path | None, *, pdf: bool = False
) -> None:
    """Write a page about several studies and say where it is."""
    with told():
        studies = [Study.open(locate(name, storage)) for name in names]
        to = target or storage / "compare.html"
        if not to.parent.is_dir():
            raise ValueError(f"there is no folder {to.parent} to write to")
        _say_where(write_comparison(studies, to), pdf=pdf)


def _say_where(page: Path, *, pdf: bool) -> None:
    _console.print(str(page), soft_wrap=True)
    if pdf:
        _console.print(str(write_pdf(page)), soft_wrap=True)
