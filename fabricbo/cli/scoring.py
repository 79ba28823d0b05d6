"""Commands about objectives: what there is, and scores of image files."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from fabricbo.cli.errors import told
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

_console = Console(highlight=False, markup=False, emoji=False)  # names are text


def print_objectives(*, as_json: bool) -> None:
    """Print what is installed, and what each needs."""
    rows, broken = [], []
    for name in installed_objectives():
        try:
            rows.append(_row(name))
        except ObjectiveError as error:  # one that is damaged hides no other
            broken.append({"name": name, "error": str(error)})
    if as_json:
        print(json.dumps({"objectives": rows, "broken": broken}, allow_nan=False))
        return
    for row in rows:
        _console.print(f"{row['name']} ({_aim(row)})", style="bold", soft_wrap=True)
        for key, text in _facts(row).items():
            _console.print(f"    {key}: {text}", soft_wrap=True)
    for one in broken:
        _console.print(f"{one['name']}: {one['error']}", style="red", soft_wrap=True)


def _row(name: str) -> dict[str, Any]:
    target = load_installed(name)
    declared = declaration(target)
    about = (target.__doc__ or "").strip().partition("\n")[0]
    facts = {"name": name, "about": about, "direction": declared.direction, "per": declared.per}
    return {**facts, **asdict(declared.card)}


def _aim(row: dict[str, Any]) -> str:
    batch = ", one number a batch" if row["per"] == "batch" else ""
    return f"{row['direction']}{batch}"


def _facts(row: dict[str, Any]) -> dict[str, str]:
    """Return what is worth a line of its own, by what it is."""
    size = "" if row["parameters"] is None else f", {row['parameters']} million parameters"
    facts = {
        "what": row["about"],
        "scale": row["scale"],
        "source": row["source"],
        "loads at the start of a study": row["checkpoint"] and f"{row['checkpoint']}{size}",
        "licence": _licences(row),
        "needs": row["extra"] and f"pip install 'fabricbo[{row['extra']}]'",
    }
    return {key: text for key, text in facts.items() if text}


def _licences(row: dict[str, Any]) -> str:
    both = (row["licence"], row["checkpoint_licence"] and f"checkpoint {row['checkpoint_licence']}")
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
        prepare(target)
        values = evaluate(target, [open_image(file) for file in files], prompt).values
    declared = declaration(target)
    if as_json:
        scores = list(values)
        per_image = declared.per == "image"
        row = {
            "objective": declared.name,
            "direction": declared.direction,
            "per": declared.per,
            "prompt": prompt,
            "files": [str(file) for file in files],
            "scores": scores,
            "mean": fmean(scores) if per_image else scores[0],
        }
        print(json.dumps(row, allow_nan=False))
        return
    if declared.per == "batch":
        _console.print(f"{values[0]:.4f}  all {len(files)} images", soft_wrap=True)
        return
    for file, value in zip(files, values, strict=True):
        _console.print(f"{value:.4f}  {file}", soft_wrap=True)


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
