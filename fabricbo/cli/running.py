"""Commands that draw: a new study, and going on with one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fabricbo.cli.answers.answer import command, tell
from fabricbo.cli.answers.studies import Outcome, outcome
from fabricbo.cli.errors import stopped_by, told
from fabricbo.cli.interrupts import Asked, ending, finishing
from fabricbo.cli.logs import messages, name_study, say
from fabricbo.cli.reading import locate
from fabricbo.cli.wording import heldout_lines, missed_bounds, trial_line
from fabricbo.compose import create_study, resume_study
from fabricbo.rating.questions import planned
from fabricbo.rating.worker import Event, Worker
from fabricbo.records import Trial
from fabricbo.report import write_report
from fabricbo.scoring import Placement
from fabricbo.study import RepeatedFailureError, SettingsError, Study, StudySettings
from fabricbo.study.checked import explain
from fabricbo.study.driver import driving
from fabricbo.study.location import Location
from fabricbo.study.store import stored_settings

_IN_HASTE = 1.0
"""Seconds that loggers may take once somebody has pressed Ctrl-C."""
_console = messages()


@dataclass(frozen=True, slots=True)
class How:
    """Who draws and who is told, where the command says so beside the study."""

    kind: str | None = None
    count: int | None = None
    address: str | None = None
    loggers: tuple[str, ...] = ()
    """Names of those that are told too."""

    def in_place_of(self, settings: StudySettings) -> StudySettings:
        """Return the study's own settings, with what the command says.

        Raises:
            SettingsError: no such kind, or no such number.
        """
        said = {"kind": self.kind, "workers": self.count, "address": self.address}
        given = {name: value for name, value in said.items() if value is not None}
        known = {one.name for one in settings.loggers}
        new = [name for name in dict.fromkeys(self.loggers) if name not in known]
        whole = settings.model_dump(mode="json")
        whole["executor"] |= given
        whole["loggers"] += [{"name": name} for name in new]
        try:
            return StudySettings.model_validate(whole)
        except ValidationError as error:
            said_wrong = "; ".join(explain(detail) for detail in error.errors())
            raise SettingsError(said_wrong) from None


def run_new(
    settings: Callable[[], StudySettings],
    placement: Placement,
    how: How | None = None,
    *,
    as_json: bool,
) -> None:
    """Make a study and run it."""
    with told(), ending():
        checked = (how or How()).in_place_of(settings())
        name_study(checked.name)
        _name_code(checked)
        with _console.status("loading the model"):
            study = create_study(checked, device=placement.device, offload=placement.offload)
        with study.driving():
            _run(study, as_json=as_json)


def run_on(name: str, storage: Path, placement: Placement, how: How, *, as_json: bool) -> None:
    """Go on with a study."""
    with told(), ending():
        folder = locate(name, storage)
        settings = how.in_place_of(stored_settings(Location.of(folder)))
        name_study(settings.name)
        _name_code(settings)
        with driving(Location.of(folder)):
            with _console.status("loading the model"):
                study = resume_study(
                    folder,
                    device=placement.device,
                    offload=placement.offload,
                    how=settings,
                )
            _run(study, as_json=as_json)


def _name_code(settings: StudySettings) -> None:
    """Say which code the settings run, before it runs."""
    named = [*settings.objective, *settings.report_with]
    named += [part for one in named for part in one.parts]
    code = [("objective", one.name) for one in named]
    code += [("logger", one.name) for one in settings.loggers]
    for what, name in code:
        if ":" in name:
            say(_console, f"{what} {name} is code, and is run")


def _run(study: Study, *, as_json: bool) -> None:
    began = time.monotonic()
    try:
        with ending():  # again: Ray has a handler of its own
            page = _draw_all(study)
    except RepeatedFailureError:
        write_report(study)
        raise
    except KeyboardInterrupt as stop:
        study.close(_IN_HASTE)  # loggers are told the rest next time
        go_on = command("resume", study.folder)
        say(_console, f"stopped; everything is kept. Go on with: {go_on}")
        raise typer.Exit(stopped_by(stop)) from None
    found = outcome(study, time.monotonic() - began, page)
    tell(found, _outcome_lines(study, found), as_json=as_json)
    study.close()


def _outcome_lines(study: Study, found: Outcome) -> Iterator[str]:
    yield from missed_bounds(study)
    yield from heldout_lines(study)
    yield f"page: {found.report}"


def _draw_all(study: Study) -> Path:
    """Do what is left, and return the page.

    Raises:
        KeyboardInterrupt: somebody has stopped it.
    """
    with finishing(_tell_stopping) as asked:
        if study.settings.objective or study.settings.rating is None:
            _search(study, asked)
        else:
            _work(study, asked)
    asked.stop()
    if study.heldout is None:
        with _console.status("drawing baseline and best with fresh seeds"):
            study.hold_out()
    with _console.status("writing the page"):
        return write_report(study)


def _tell_stopping() -> None:
    say(_console, "stopping after the trial in flight; once more stops at once")


def _work(study: Study, asked: Asked) -> None:
    """Draw and choose questions until people have answered all of them."""
    say(
        _console,
        f"people judge this study: have them do so with `{command('serve', study.folder)}` or "
        f"`{command('rate', study.folder)}`, while this goes on",
    )
    planned_questions = planned(study.settings)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console) as bar:
        task = bar.add_task("drawing", total=planned_questions)

        def on_event(event: Event) -> None:
            if event.trial is not None:
                say(bar.console, trial_line(event.trial, study), trial=event.trial.index)
            found = event.progress
            said = f"{found.answered} of {found.planned} questions answered, {found.waiting} wait"
            bar.update(task, completed=found.answered, description=said)

        Worker(study, on_event).run(_pause, asked)


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _search(study: Study, asked: Asked) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} trials"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    done = sum(not trial.status.is_pending for trial in study.trials)
    with Progress(*columns, console=_console) as progress:
        task = progress.add_task("round 1", total=study.planned_trials, completed=done)

        def on_trial(trial: Trial) -> None:
            say(progress.console, trial_line(trial, study), trial=trial.index)
            description = f"round {trial.round} of {study.settings.rounds}"
            progress.update(task, advance=1, description=description)

        study.run(on_trial, asked)
