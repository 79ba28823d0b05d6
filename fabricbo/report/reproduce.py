"""How to do it again: commands, the study file, versions and hashes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from fabricbo.records import Trial
from fabricbo.report.known import Known
from fabricbo.report.recipes import WrittenOut, written_out
from fabricbo.space import role_choice
from fabricbo.study import Study
from fabricbo.study.file_text import study_file_text


@dataclass(frozen=True)
class Reproduce:
    """All that it takes."""

    commands: str
    """For a shell."""
    file: str
    """The study file."""
    file_hash: str
    """SHA-256 of its text."""
    versions: Sequence[tuple[str, str]]
    """What drew the best trial; empty where nobody knows."""
    action: str | None
    """The best trial's action, as JSON."""
    seeds: str
    """Of the best trial's images."""
    references: Sequence[tuple[str, str, str]]
    """Role in the best trial, name, and SHA-256 of the pixels."""
    written_out: Sequence[WrittenOut]
    """The best action for other programs."""


def reproduce(known: Known) -> Reproduce:
    """Return how to do the study, and its best trial, again."""
    settings, best = known.study.settings, known.best
    file = study_file_text(settings)
    return Reproduce(
        commands=_commands(known.study, best),
        file=file,
        file_hash=sha256(file.encode()).hexdigest(),
        versions=_versions({} if best is None else known.study.drawn_with(best) or {}),
        action=None if best is None else _action(best),
        seeds="" if best is None else ", ".join(map(str, best.seeds)),
        references=[] if best is None else _references(best),
        written_out=[] if best is None else written_out(known.study, best),
    )


def _commands(study: Study, best: Trial | None) -> str:
    name = study.settings.name
    rows = [
        ("" if _search_again(study) is None else f"fabricbo run {name}.toml", _search_again(study)),
        (
            "" if best is None else f"fabricbo replay {name} {best.index}",
            "draw the best trial again, compare every pixel",
        ),
        (f"fabricbo doctor {name}", "check every row and image against its hash"),
        (f"fabricbo export {name} --what study --to {name}.zip", "the study with all images"),
        (f"fabricbo import {name}.zip", "on another machine"),
    ]
    kept = [(command, why) for command, why in rows if command]
    width = max(len(command) for command, _ in kept)
    return "\n".join(f"{command:<{width}}  # {why}" for command, why in kept)


def _search_again(study: Study) -> str | None:
    """Say what running the study file does; None where it alone does not make the study."""
    settings = study.settings
    if study.forked_from is not None or not (settings.objective or settings.rating):
        return None  # other rounds went before, or the objective was handed over in Python
    if settings.rating is not None:
        return "the same questions anew, by the study file below"
    return "the same search anew, by the study file below"


def _versions(drawn_with: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what the images depend on, in words; options of the scheduler as one hash."""
    rows = []
    for name, value in drawn_with.items():
        if isinstance(value, Mapping) and name == "packages":
            rows += [(str(package), str(version)) for package, version in value.items()]
        elif isinstance(value, Mapping):
            text = json.dumps(value, sort_keys=True, default=str)
            rows.append((name.replace("_", " "), f"sha256 {sha256(text.encode()).hexdigest()}"))
        else:
            prefix = "sha256 " if name == "weights" else ""
            rows.append((name.replace("_", " "), f"{prefix}{value}"))
    return rows


def _action(best: Trial) -> str:
    return json.dumps(best.action.to_json(), indent=1, allow_nan=False)


def _references(best: Trial) -> list[tuple[str, str, str]]:
    action = best.action
    used = (*action.liked, *action.disliked)
    return [(role_choice(action, one), one.name, one.id) for one in used]
