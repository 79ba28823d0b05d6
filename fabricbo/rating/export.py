"""Votes as tables that others read: CSV and Parquet."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fabricbo.raters import chosen
from fabricbo.study import Study
from fabricbo.votes import SKIP, UNDO, Vote

COLUMNS = {
    "vote": "int64",
    "task": "string",
    "question": "int64",
    "rater": "int64",
    "kind": "string",
    "answer": "string",
    "chosen": "string",
    "seconds": "float64",
    "counts": "bool_",
    "repeat_of": "int64",
    "expected": "int64",
    "images": "string",
    "trials": "string",
    "created": "string",
}
"""Of a table of votes, with their types in Arrow's words."""


class ExportError(Exception):
    """Something that is needed to export is missing, or the place is taken."""


def vote_rows(study: Study) -> list[dict[str, Any]]:
    """Return a row for each vote, those that were taken back or left out included."""
    counted = {vote.id for vote in study.ballots.counted()}
    return [_vote_row(vote, counts=vote.id in counted) for vote in study.ballots.votes()]


def _vote_row(vote: Vote, *, counts: bool) -> dict[str, Any]:
    task = vote.task
    return {
        "vote": vote.id,
        "task": task.id,
        "question": task.question.id,
        "rater": task.rater,
        "kind": task.question.kind,
        "answer": vote.answer,
        "chosen": "" if vote.answer in (SKIP, UNDO) else str(chosen(vote)),
        "seconds": vote.seconds,
        "counts": counts,
        "repeat_of": task.question.repeat_of,
        "expected": task.question.expected,
        "images": " ".join(option.image for option in task.shown),
        "trials": " ".join(str(option.trial) for option in task.shown),
        "created": None if vote.created is None else vote.created.isoformat(),
    }


def votes_csv(study: Study) -> str:
    """Return all votes as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(vote_rows(study))
    return stream.getvalue()


def write_votes_csv(study: Study, target: Path) -> None:
    """Write all votes as CSV."""
    target.write_text(votes_csv(study), "utf-8", newline="")


def write_votes_parquet(study: Study, target: Path) -> None:
    """Write all votes as Parquet.

    Raises:
        ExportError: pyarrow is not installed.
    """
    write_parquet(vote_rows(study), COLUMNS, target)


def write_parquet(rows: list[dict[str, Any]], columns: dict[str, str], target: Path) -> None:
    """Write rows as Parquet; columns have their types even where nothing is in them.

    Raises:
        ExportError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ExportError(
            "Parquet needs pyarrow, which is not installed: pip install 'fabricbo[web]'"
        ) from error
    schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in columns.items()])
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), target)


def image_prompts(study: Study) -> Iterator[tuple[str, str]]:
    """Return each image of a trial with the prompt that it was drawn for."""
    prompts = study.settings.prompts
    for trial in study.trials:
        size = max(1, len(trial.images) // len(prompts))
        for place, image in enumerate(trial.images):
            yield image, prompts[min(place // size, len(prompts) - 1)]
