"""`fabricbo doctor`, `replay`, `fork`: is all there, does it come out again, going on from it."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from fabricbo.cli.errors import told
from fabricbo.cli.reading import locate
from fabricbo.cli.statuses import Status
from fabricbo.compose import sampler_for
from fabricbo.proposers.registry import check_proposer
from fabricbo.records import Trial
from fabricbo.report.wording import counted
from fabricbo.study import Study, StudySettings
from fabricbo.study.driver import driving
from fabricbo.study.images import images_of
from fabricbo.study.location import Location
from fabricbo.study.migrations.backup import backups
from fabricbo.study.store import stored_settings
from fabricbo.upkeep.examination import Harm, Health, examine
from fabricbo.upkeep.forking import Changes, fork
from fabricbo.upkeep.mending import find_again, make_again, set_aside
from fabricbo.upkeep.replay import Again, changes, difference, draw_again

_console = Console(highlight=False, markup=False, emoji=False)
_log = Console(stderr=True, highlight=False, markup=False, emoji=False)


def check_study(name: str, storage: Path, device: str, *, mend: bool, as_json: bool) -> None:
    """Say what is missing or damaged, mend what can be mended; status 1 where something is left."""
    with told():
        folder = locate(name, storage)
        health = examine(folder)
        if mend and health.harms and not health.store:
            _say(health)
            with driving(Location.of(folder)):
                _mend(folder, health.harms, device)
            health = examine(folder)
    if as_json:
        kept = [str(file) for file in backups(folder)]
        print(json.dumps({**_health_json(health), "backups": kept}))
    else:
        _tell(health, folder, mend=mend)
    if not health.good:
        raise typer.Exit(Status.WRONG)


def _mend(folder: Path, harms: Sequence[Harm], device: str) -> None:
    settings = stored_settings(Location.of(folder))
    images = images_of(folder, settings.images_at)
    for place in set_aside(images, harms):
        _log.print(f"set aside: {place}", soft_wrap=True)
    found = find_again(images, harms, *_places(settings))
    if found:
        _log.print(f"{len(found)} found where the study took them from")
    left = examine(folder).harms
    drawn = [harm for harm in left if any(use.kind in ("trial", "held out") for use in harm.uses)]
    if any(use.kind == "reference" for harm in left for use in harm.uses):
        _log.print("a reference is missing, and without it nothing can be drawn again")
    elif drawn:
        with _log.status("loading the model"):
            sampler = sampler_for(settings, device=device)
        make_again(Study.open(folder), drawn, sampler, _log.print)


def _places(settings: StudySettings) -> list[Path]:
    """Return where the study took images from."""
    pool = [] if settings.pool.folder is None else [settings.pool.folder]
    gold = () if settings.rating is None else settings.rating.gold
    return [*pool, *{file.parent for check in gold for file in (check.better, check.worse)}]


def _say(health: Health) -> None:
    for line in (*health.store, *(harm.text for harm in health.harms)):
        _log.print(line, soft_wrap=True)


def _tell(health: Health, folder: Path, *, mend: bool) -> None:
    for file in backups(folder):
        _console.print(
            f"{file} is the store as it was before a newer fabricbo brought it up to date; "
            "delete it when you are sure that all is well",
            soft_wrap=True,
        )
    if health.good:
        _console.print(f"{folder}: the store and all {health.images} images are whole")
        return
    _say(health)
    if health.store:
        said = "the store itself is damaged; go back to a copy of it"
    elif mend:
        said = "this could not be mended; all else is as it was"
    else:
        said = f"fabricbo doctor --mend {folder} puts back what can be put back"
    _console.print(said, soft_wrap=True)


def _health_json(health: Health) -> dict[str, object]:
    harms = [
        {"image": h.image, "state": h.state, "uses": [use.text for use in h.uses]}
        for h in health.harms
    ]
    return {"good": health.good, "images": health.images, "harms": harms, "store": health.store}


def replay_trial(name: str, storage: Path, number: int, device: str, *, to: Path | None) -> None:
    """Draw a trial again and compare; status 1 where an image comes out different."""
    with told():
        study = Study.open(locate(name, storage))
        trial = _trial(study, number)
        with _log.status("loading the model"):
            sampler = sampler_for(study.settings, device=device)
        again = draw_again(study, trial, sampler)
        if to is not None:
            to.mkdir(parents=True, exist_ok=True)
        for place, one in enumerate(again):
            _console.print(_compared(study, one), soft_wrap=True)
            if to is not None:
                one.image.save(to / f"trial-{number}-{place}.png")
    then, now = study.drawn_with(trial), getattr(sampler, "environment", None)
    for line in changes(then, now) if then and now else ():
        _console.print(line, soft_wrap=True)
    equal = sum(one.equal for one in again)
    _console.print(f"{equal} of {len(again)} images of trial {number} came out equal")
    if equal < len(again):
        raise typer.Exit(Status.WRONG)


def _trial(study: Study, number: int) -> Trial:
    trials = study.trials
    if not 0 <= number < len(trials):
        raise ValueError(f"trial must be one of 0 to {len(trials) - 1}, got {number}")
    return trials[number]


def _compared(study: Study, one: Again) -> str:
    about = f"{one.prompt!r}, seed {one.seed}"
    if one.equal:
        return f"{about}: equal"
    try:
        kept = study.images.load(one.identity)
    except (OSError, ValueError) as error:
        return f"{about}: cannot be compared: {error}"
    if kept.size != one.image.size:
        return f"{about}: {one.image.size} pixels instead of {kept.size}"
    share, most = difference(kept, one.image)
    return f"{about}: {share:.2%} of the values differ, by {most} of 255 at most"


def fork_study(name: str, to: str, storage: Path, until: int | None, changes: Changes) -> None:
    """Make a study that goes on from a round of another, and say how to go on."""
    with told():
        if changes.proposer is not None:
            check_proposer(changes.proposer)
        made = fork(locate(name, storage), to, storage=storage, until=until, changes=changes)
    kept, left = len(made.trials), made.planned_trials - len(made.trials)
    _console.print(
        f"{made.folder} goes on from {made.forked_from}: {counted(kept, 'trial')} taken over, "
        f"{left} to do. Go on with: fabricbo resume {made.folder}",
        soft_wrap=True,
    )
