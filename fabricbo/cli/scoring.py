"""Commands about objectives: what there is, and scores of image files."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.text import Text

from fabricbo.cli.answers.answer import tell
from fabricbo.cli.answers.scoring import BrokenObjective, Objectives, ObjectiveTold, Scores
from fabricbo.cli.errors import told
from fabricbo.cli.logs import messages
from fabricbo.cli.progress import working
from fabricbo.imagefiles import SUFFIXES, image_files, open_image
from fabricbo.scoring import (
    ObjectiveError,
    Placement,
    declaration,
    evaluate,
    installed_objectives,
    load_installed,
    load_objective,
    prepare,
)


def print_objectives(*, as_json: bool) -> None:
    """Print what is installed, and what each needs."""
    rows, broken = [], []
    for name in installed_objectives():
        try:
            rows.append(_row(name))
        except ObjectiveError as error:  # one that is damaged hides no other
            broken.append(BrokenObjective(name=name, error=str(error)))
    found = Objectives(objectives=tuple(rows), broken=tuple(broken))
    tell(found, _objective_lines(found), as_json=as_json)


def _objective_lines(found: Objectives) -> Iterator[Text]:
    for row in found.objectives:
        yield Text(f"{row.name} ({_aim(row)})", style="bold")
        for key, text in _facts(row).items():
            yield Text(f"    {key}: {text}")
    for one in found.broken:
        yield Text(f"{one.name}: {one.error}", style="red")


def _row(name: str) -> ObjectiveTold:
    target = load_installed(name)
    declared = declaration(target)
    about = (target.__doc__ or "").strip().partition("\n")[0]
    card = asdict(declared.card)
    return ObjectiveTold(
        name=name, about=about, direction=declared.direction, per=declared.per, **card
    )


def _aim(row: ObjectiveTold) -> str:
    batch = ", one number a batch" if row.per == "batch" else ""
    return f"{row.direction}{batch}"


def _facts(row: ObjectiveTold) -> dict[str, str]:
    """Return what is worth a line of its own, by what it is."""
    size = "" if row.parameters is None else f", {row.parameters} million parameters"
    facts = {
        "what": row.about,
        "scale": row.scale,
        "source": row.source,
        "loads at the start of a study": row.checkpoint and f"{row.checkpoint}{size}",
        "licence": _licences(row),
        "needs": row.extra and f"pip install 'fabricbo[{row.extra}]'",
    }
    return {key: text for key, text in facts.items() if text}


def _licences(row: ObjectiveTold) -> str:
    both = (row.licence, row.checkpoint_licence and f"checkpoint {row.checkpoint_licence}")
    return "; ".join(filter(None, both))


def print_scores(
    images: Sequence[Path],
    name: str,
    prompt: str,
    options: Sequence[str],
    placement: Placement,
    *,
    as_json: bool,
) -> None:
    """Score image files, and print a line for each."""
    with told():
        files = _files(images)
        target = load_objective(name, _options(options), placement)
        with working(messages(), "loading the scorer", name):
            prepare(target)
        with working(messages(), f"scoring {len(files)} images", name):
            values = evaluate(target, [open_image(file) for file in files], prompt).values
    declared = declaration(target)
    found = Scores(
        objective=declared.name,
        direction=declared.direction,
        per=declared.per,
        prompt=prompt,
        files=tuple(map(str, files)),
        scores=values,
        mean=fmean(values),
    )
    tell(found, _score_lines(found), as_json=as_json)


def _score_lines(found: Scores) -> Iterator[str]:
    if found.per == "batch":
        yield f"{found.scores[0]:.4f}  all {len(found.files)} images"
        return
    for file, value in zip(found.files, found.scores, strict=True):
        yield f"{value:.4f}  {file}"


def _files(images: Sequence[Path]) -> list[Path]:
    """Return the files, and those of folders.

    Raises:
        ValueError: no such file, or a folder without images.
    """
    found: list[Path] = []
    for path in images:
        if path.is_dir():
            inside = image_files(path)
            if not inside:
                raise ValueError(f"folder {path} has no images: {', '.join(sorted(SUFFIXES))}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise ValueError(f"there is no file {path}")
    return found


def _options(texts: Sequence[str]) -> dict[str, Any]:
    """Read `key=value`; a value that is JSON counts as what it says, anything else as text.

    Raises:
        ValueError: no `=` in it.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ValueError(f"an option reads like key=value, got {text!r}")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
