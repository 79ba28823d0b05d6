"""What is drawn: prompts, with target images where the protocol has them.

From a file (CSV, Parquet, or text with a prompt a line), or of the bundled checkpoint: an object
on a background in a style, of which the prompt names the object always, style and background half
of the time each, as the captions that it learnt from. What the prompt leaves open is what feedback
can choose. Targets of the bundled checkpoint show everything; it draws them itself from the whole
caption, as the targets of the paper were drawn by diffusion models.
"""

import csv
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.demo_data import Attributes, every_combination, random_caption
from fabricbo.imagefiles import decode_image, open_image

TUNING_FIRST = 1_000
"""Number of the first task to search settings on; those to report begin at 0."""


class TasksError(ValueError):
    """A file of prompts cannot be read, or holds too few."""


@dataclass(frozen=True)
class Task:
    """One prompt."""

    index: int
    """All its seeds derive from it."""
    prompt: str
    target: Image.Image | None = None
    shown: Attributes | None = None
    """What it is about, where that is known."""


def demo_tasks(count: int, tuning: int) -> tuple[list[Task], list[Task]]:
    """Return tasks to report and tasks to search settings on; they share no prompt."""
    rng = random.Random("prompts of the paper's experiments")
    everything = every_combination()
    rng.shuffle(everything)
    # At least the object is named: an empty prompt says nothing that could be judged.
    prompts = [random_caption(shown, rng) or _object_of(shown) for shown in everything]
    pairs = list(zip(prompts, everything, strict=True))
    if not 0 < count <= TUNING_FIRST:
        raise TasksError(f"count must be 1 to {TUNING_FIRST}, got {count}")
    reported = pairs[:count]
    taken = {prompt for prompt, _ in reported}
    others = [pair for pair in pairs[count:] if pair[0] not in taken]
    return _tasks(reported, 0), _tasks(others[:tuning], TUNING_FIRST)


def _tasks(pairs: Sequence[tuple[str, Attributes]], first: int) -> list[Task]:
    return [Task(first + i, prompt, None, shown) for i, (prompt, shown) in enumerate(pairs)]


def _object_of(shown: Attributes) -> str:
    return shown.caption().split(" on a ")[0]


def file_tasks(
    file: Path, count: int, tuning: int, *, with_targets: bool
) -> tuple[list[Task], list[Task]]:
    """Read tasks to report from the beginning of a file, and tasks to search on from its end.

    Args:
        file: `.csv` or `.parquet` with a column `prompt`, and with targets a column `image` (a
            path, relative to the file, or in Parquet the bytes of an image file); or `.txt`.
        count: to report.
        tuning: to search on.
        with_targets: whether the protocol needs target images.

    Raises:
        TasksError: no such file, another format, a column missing, or too few prompts.
    """
    if not file.is_file():
        raise TasksError(f"prompts: no file {file}")
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".txt": _read_text}
    if file.suffix not in readers:
        raise TasksError(f"prompts must be a .csv, .parquet or .txt file, got {file.name}")
    if with_targets and file.suffix == ".txt":
        raise TasksError("prompts with targets need a .csv or .parquet file with a column image")
    rows = [row for row in readers[file.suffix](file) if str(row.get("prompt") or "").strip()]
    taken = {row["prompt"] for row in rows[:count]}
    others = [row for row in rows[count:] if row["prompt"] not in taken]
    if len(rows) < count or len(others) < tuning:
        raise TasksError(
            f"{file} has {len(rows)} prompts; {count} to report and {tuning} others to search "
            "settings on are needed: ask for fewer with --count and --tuning"
        )
    others = others[len(others) - tuning :]
    return (
        [_task(file, i, row, with_targets) for i, row in enumerate(rows[:count])],
        [_task(file, TUNING_FIRST + i, row, with_targets) for i, row in enumerate(others)],
    )


def _task(file: Path, index: int, row: Mapping[str, Any], with_targets: bool) -> Task:
    target = _target(file, row) if with_targets else None
    return Task(index, str(row["prompt"]).strip(), target)


def _target(file: Path, row: Mapping[str, Any]) -> Image.Image:
    given = row.get("image")
    # Data sets of the hub hold images as {"bytes": ..., "path": ...}.
    given = given.get("bytes") or given.get("path") if isinstance(given, Mapping) else given
    try:
        if isinstance(given, bytes):
            return decode_image(given, f"image of {row['prompt']!r} in {file}")
        return open_image(file.parent / str(given))
    except (OSError, ValueError) as error:
        raise TasksError(f"{file}: target of {row['prompt']!r}: {error}") from error


def _read_csv(file: Path) -> list[dict[str, Any]]:
    try:
        rows = csv.DictReader(io.StringIO(file.read_text("utf-8-sig")))
        return _with_prompts(file, rows.fieldnames or (), list(rows))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TasksError(f"{file} is no CSV file in UTF-8: {error}") from error


def _read_parquet(file: Path) -> list[dict[str, Any]]:
    try:
        import pandas

        frame = pandas.read_parquet(file)
    except ImportError as error:
        raise TasksError(
            f"{file}: Parquet files need pandas and pyarrow: pip install pandas pyarrow"
        ) from error
    except (OSError, ValueError) as error:
        raise TasksError(f"{file} is no readable Parquet file: {error}") from error
    return _with_prompts(file, list(frame.columns), frame.to_dict("records"))


def _read_text(file: Path) -> list[dict[str, Any]]:
    try:
        return [{"prompt": line} for line in file.read_text("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise TasksError(f"{file} is no text in UTF-8: {error}") from error


def _with_prompts(
    file: Path, columns: Sequence[str], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    if "prompt" not in columns:
        found = ", ".join(map(str, columns)) or "none"
        raise TasksError(f"{file} needs a column prompt, its columns: {found}")
    return rows
