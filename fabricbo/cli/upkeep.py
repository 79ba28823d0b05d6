"""`fabricbo doctor STUDY`, `replay`, `fork`: is all there, does it come out again, going on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import typer
from rich.text import Text

from fabricbo.cli.answers.answer import command, tell
from fabricbo.cli.answers.upkeep import Forked, HarmTold, HealthTold, Replayed, ReplayedImage
from fabricbo.cli.consoles import asides
from fabricbo.cli.errors import told
from fabricbo.cli.logs import messages
from fabricbo.cli.progress import counting, working
from fabricbo.cli.reading import locate
from fabricbo.cli.statuses import Status
from fabricbo.compose import sampler_for
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

_log = asides()


def check_study(name: str, storage: Path, device: str, *, mend: bool, as_json: bool) -> None:
    """Say what is missing or damaged, mend what can be mended; status 1 where something is left."""
    with told():
        folder = locate(name, storage)
        with counting(messages(), "checking", "images") as tell_how_far:
            health = examine(folder, tell=tell_how_far)
        if mend and health.harms and not health.store:
            _say(health)
            with driving(Location.of(folder)):
                _mend(folder, health.harms, device)
            health = examine(folder)
    found = _told(health, folder, mend=mend)
    tell(found, _lines(found, health, folder, mend=mend), as_json=as_json)
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
        with working(messages(), "loading the model", settings.checkpoint.name):
            sampler = sampler_for(settings, device=device)
        make_again(Study.open(folder), drawn, sampler, _log.print)


def _places(settings: StudySettings) -> list[Path]:
    """Return where the study took images from."""
    pool = [] if settings.pool.folder is None else [settings.pool.folder]
    gold = () if settings.rating is None else settings.rating.gold
    return [*pool, *{file.parent for check in gold for file in (check.better, check.worse)}]


def _wrong(health: Health) -> list[str]:
    return [*health.store, *(harm.text for harm in health.harms)]


def _say(health: Health) -> None:
    for line in _wrong(health):
        _log.print(line, soft_wrap=True)


def _told(health: Health, folder: Path, *, mend: bool) -> HealthTold:
    mends = bool(health.harms) and not (health.store or mend)
    return HealthTold(
        next=(command("doctor", "--mend", folder),) if mends else (),
        good=health.good,
        images=health.images,
        harms=tuple(
            HarmTold(image=h.image, state=h.state, uses=tuple(use.text for use in h.uses))
            for h in health.harms
        ),
        store=health.store,
        backups=tuple(str(file) for file in backups(folder)),
    )


def _lines(found: HealthTold, health: Health, folder: Path, *, mend: bool) -> Iterator[str | Text]:
    for file in found.backups:
        yield (
            f"{file} is the store as it was before a newer fabricbo brought it up to date; "
            "delete it when you are sure that all is well"
        )
    if health.good:
        yield f"{folder}: the store and all {health.images} images are whole"
        return
    _say(health)
    if health.store:
        yield "the store itself is damaged; go back to a copy of it"
    elif mend:
        yield "this could not be mended; all else is as it was"
    else:
        yield f"{counted(len(health.harms), 'image')} missing or damaged; what can be put back is:"


def replay_trial(
    name: str, storage: Path, number: int, device: str, *, to: Path | None, as_json: bool
) -> None:
    """Draw a trial again and compare; status 1 where an image comes out different."""
    with told():
        folder = locate(name, storage)
        study = Study.open(folder)
        trial = _trial(study, number)
        with working(messages(), "loading the model", study.settings.checkpoint.name):
            sampler = sampler_for(study.settings, device=device)
        with working(messages(), "drawing", usual=trial.seconds):
            again = draw_again(study, trial, sampler)
        if to is not None:
            to.mkdir(parents=True, exist_ok=True)
            for place, one in enumerate(again):
                one.image.save(to / f"trial-{number}-{place}.png")
    then, now = study.drawn_with(trial), getattr(sampler, "environment", None)
    found = Replayed(
        study=str(folder),
        trial=number,
        good=all(one.equal for one in again),
        images=tuple(_replayed(study, one) for one in again),
        changes=tuple(changes(then, now)) if then and now else (),
    )
    tell(found, _replay_lines(found), as_json=as_json)
    if not found.good:
        raise typer.Exit(Status.WRONG)


def _replay_lines(found: Replayed) -> Iterator[str]:
    for one in found.images:
        yield f"{one.prompt!r}, seed {one.seed}: {one.said}"
    yield from found.changes
    equal = sum(one.equal for one in found.images)
    yield f"{equal} of {len(found.images)} images of trial {found.trial} came out equal"


def _trial(study: Study, number: int) -> Trial:
    trials = study.trials
    if not 0 <= number < len(trials):
        raise ValueError(f"trial must be one of 0 to {len(trials) - 1}, got {number}")
    return trials[number]


def _replayed(study: Study, one: Again) -> ReplayedImage:
    return ReplayedImage(
        prompt=one.prompt,
        seed=one.seed,
        image=one.identity,
        equal=one.equal,
        said=_compared(study, one),
    )


def _compared(study: Study, one: Again) -> str:
    if one.equal:
        return "equal"
    try:
        kept = study.images.load(one.identity)
    except (OSError, ValueError) as error:
        return f"cannot be compared: {error}"
    if kept.size != one.image.size:
        return f"{one.image.size} pixels instead of {kept.size}"
    share, most = difference(kept, one.image)
    return f"{share:.2%} of the values differ, by {most} of 255 at most"


def fork_study(
    name: str, to: str, storage: Path, until: int | None, changes: Changes, *, as_json: bool
) -> None:
    """Make a study that goes on from a round of another, and say how to go on."""
    with told():
        made = fork(locate(name, storage), to, storage=storage, until=until, changes=changes)
    kept, left = len(made.trials), made.planned_trials - len(made.trials)
    begun = made.forked_from
    if begun is None:
        raise RuntimeError(f"{made.folder} does not know what it goes on from")
    found = Forked(
        study=str(made.folder),
        forked_from=begun,
        taken_over=kept,
        left=left,
        next=(command("resume", made.folder),),
    )
    said = f"{made.folder} goes on from {begun}: {counted(kept, 'trial')} taken over, {left} to do"
    tell(found, [said], as_json=as_json)
