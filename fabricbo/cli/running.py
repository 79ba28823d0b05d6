"""Commands that draw: a new study, and going on with one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fabricbo.cli.answers.answer import command, tell
from fabricbo.cli.answers.studies import Outcome, outcome
from fabricbo.cli.consoles import results
from fabricbo.cli.errors import stopped_by, told
from fabricbo.cli.interrupts import Asked, ending, finishing
from fabricbo.cli.logs import messages, name_study, say
from fabricbo.cli.progress import advance, pieces_bar, working
from fabricbo.cli.reading import locate
from fabricbo.cli.thumbnails import best_lines, draw_best
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
from fabricbo.study.pace import pace_of
from fabricbo.study.safety import safety_note
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
    max_memory: str | None = None
    """What feedback may hold beyond plain sampling, such as `6GB`."""

    def in_place_of(self, settings: StudySettings) -> StudySettings:
        """Return the study's own settings, with what the command says.

        Raises:
            SettingsError: no such kind, number or size.
        """
        said = {"kind": self.kind, "workers": self.count, "address": self.address}
        given = {name: value for name, value in said.items() if value is not None}
        known = {one.name for one in settings.loggers}
        new = [name for name in dict.fromkeys(self.loggers) if name not in known]
        whole = settings.model_dump(mode="json")
        whole["executor"] |= given
        whole["loggers"] += [{"name": name} for name in new]
        if self.max_memory is not None:
            whole["checkpoint"]["max_memory_gb"] = _gigabytes(self.max_memory)
        try:
            return StudySettings.model_validate(whole)
        except ValidationError as error:
            said_wrong = "; ".join(explain(detail) for detail in error.errors())
            raise SettingsError(said_wrong) from None


def _gigabytes(size: str) -> float:
    """Read a size such as `6GB` or `500 MiB`."""
    try:
        return TypeAdapter(ByteSize).validate_python(size) / 1e9
    except ValidationError:
        raise SettingsError(f"--max-memory must be a size such as 6GB, got {size!r}") from None


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
        with working(_console, "loading the model", checked.checkpoint.name):
            study = create_study(checked, device=placement.device, offload=placement.offload)
        if note := safety_note(checked, study.settings):
            say(_console, note)
        begun = study.settings.space.hand.items() - checked.space.hand.items()
        for name, value in sorted(begun):
            say(_console, f"{checked.checkpoint.name}: hand settings begin with {name} = {value:g}")
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
            with working(_console, "loading the model", settings.checkpoint.name):
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
    if not as_json:
        draw_best(results(), study)
    tell(found, _outcome_lines(study, found), as_json=as_json)
    study.close()


def _outcome_lines(study: Study, found: Outcome) -> Iterator[str]:
    yield from missed_bounds(study)
    yield from heldout_lines(study)
    if found.best_images:
        yield f"best: trial {found.best_trial}"
        yield from best_lines(found.best_images)
    yield f"page: {found.report}"


def _draw_all(study: Study) -> Path:
    """Do what is left, and return the page.

    Raises:
        KeyboardInterrupt: somebody has stopped it.
    """
    with finishing(_tell_stopping) as asked:
        if study.people_lead:
            _work(study, asked)
        else:
            _search(study, asked)
    asked.stop()
    if study.heldout is None:
        what = "drawing baseline and best with fresh seeds"
        with working(_console, what, usual=_heldout_seconds(study)):
            study.hold_out()
    with working(_console, "writing the page", str(study.folder.absolute())):
        return write_report(study)


def _trial_seconds(study: Study) -> float | None:
    """Return how long a trial has taken; None where none was drawn yet."""
    return pace_of(study.events, 0, None, datetime.now(UTC)).seconds_a_trial


def _heldout_seconds(study: Study) -> float | None:
    """Return how long the comparison at the end should take, as its images are to a trial's."""
    a_trial, settings = _trial_seconds(study), study.settings
    prompts = len(settings.prompts) + len(settings.heldout_prompts)
    images = 2 * settings.heldout * prompts
    a_trials = settings.images * len(settings.prompts)
    return None if a_trial is None else a_trial * images / a_trials


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
    with Progress(*columns, console=_console, disable=not _console.is_terminal) as bar:
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
    before = sum(not trial.status.is_pending for trial in study.trials)
    rounds = study.settings.rounds
    with pieces_bar(_console, "trials", seconds_a_piece=_trial_seconds(study)) as bar:
        first = f"round {study.rounds[-1].index} of {rounds}"
        bar.add_task(first, total=study.planned_trials, completed=before, begun_with=before)
        done = count(before + 1)

        def on_trial(trial: Trial) -> None:
            say(bar.console, trial_line(trial, study), trial=trial.index)
            number = next(done)
            # The search ends with a last fit, of seconds or more: it is told from drawing.
            over = number >= study.planned_trials
            what = "weighing all trials" if over else f"round {trial.round} of {rounds}"
            advance(bar, number, what)

        study.run(on_trial, asked)
