"""Votes in the shapes that others read: tables, preference pairs, an image folder."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fabricbo.rating.statistics import chosen
from fabricbo.study import Study
from fabricbo.votes import SKIP, UNDO, Vote, counting, verdicts

COLUMNS = (
    *("vote", "task", "question", "rater", "kind", "answer", "chosen", "seconds", "counts"),
    *("repeat_of", "expected", "images", "trials"),
)


class ExportError(Exception):
    """Something that is needed to export is missing, or the place is taken."""


def vote_rows(study: Study) -> list[dict[str, Any]]:
    """Return a row for each vote, those that were taken back or left out included."""
    votes = study.ballots.votes()
    excluded = frozenset(rater.id for rater in study.ballots.raters() if rater.excluded)
    counted = {vote.id for vote in counting(votes, excluded)}
    return [_vote_row(vote, counts=vote.id in counted) for vote in votes]


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
    }


def votes_csv(study: Study) -> str:
    """Return all votes as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(vote_rows(study))
    return stream.getvalue()


def write_votes_parquet(study: Study, target: Path) -> None:
    """Write all votes as Parquet.

    Raises:
        ExportError: pyarrow is not installed.
    """
    pyarrow, parquet = _arrow()
    rows = vote_rows(study)
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    parquet.write_table(pyarrow.table(columns), target)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images and which is better, in the columns of Pick-a-Pic (arXiv 2305.01569)."""

    caption: str
    image_0: str
    """Identity in the image store."""
    image_1: str
    label_0: float
    """1 where the first is better, 0 where the second is, 0.5 for neither."""
    label_1: float
    user_id: int


def pairs(study: Study) -> Iterator[Pair]:
    """Return the image pairs that counting votes compare."""
    excluded = frozenset(rater.id for rater in study.ballots.raters() if rater.excluded)
    prompts = dict(_prompts(study))
    for vote in counting(study.ballots.votes(), excluded):
        images = [option.image for option in vote.task.shown]
        if any(option.trial is None for option in vote.task.shown):
            continue
        caption = prompts.get(images[0], study.settings.prompt_text)
        if vote.task.question.kind == "pairwise":
            label = {"left": 1.0, "right": 0.0}.get(vote.answer, 0.5)
            yield Pair(caption, images[0], images[1], label, 1 - label, vote.task.rater)
        elif vote.task.question.kind == "best-of":
            best = images[int(vote.answer) - 1]
            for other in images:
                if other != best:
                    yield Pair(caption, best, other, 1.0, 0.0, vote.task.rater)


def _prompts(study: Study) -> Iterator[tuple[str, str]]:
    """Return each image of a trial with the prompt that it was drawn for."""
    prompts = study.settings.prompts
    for trial in study.trials:
        size = max(1, len(trial.images) // len(prompts))
        for place, image in enumerate(trial.images):
            yield image, prompts[min(place // size, len(prompts) - 1)]


def write_pairs_parquet(study: Study, target: Path) -> None:
    """Write preference pairs as Pick-a-Pic has them, images as PNG inside.

    Raises:
        ExportError: pyarrow is not installed.
    """
    pyarrow, parquet = _arrow()
    rows = [
        {
            "caption": pair.caption,
            "image_0_uid": pair.image_0,
            "image_1_uid": pair.image_1,
            "jpg_0": study.images.path(pair.image_0).read_bytes(),
            "jpg_1": study.images.path(pair.image_1).read_bytes(),
            "label_0": pair.label_0,
            "label_1": pair.label_1,
            "has_label": pair.label_0 != pair.label_1,
            "user_id": pair.user_id,
        }
        for pair in pairs(study)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), target)


def write_image_folder(study: Study, target: Path) -> None:
    """Write images with `metadata.jsonl`, as Hugging Face's `imagefolder` reads it.

    Raises:
        ExportError: the folder exists and is not empty.
    """
    if target.exists() and any(target.iterdir()):
        raise ExportError(f"{target} is not empty; name another folder")
    target.mkdir(parents=True, exist_ok=True)
    excluded = frozenset(rater.id for rater in study.ballots.raters() if rater.excluded)
    liked = verdicts(counting(study.ballots.votes(), excluded))
    prompts = dict(_prompts(study))
    lines = []
    for trial in study.trials:
        for image in dict.fromkeys(trial.images):
            shutil.copyfile(study.images.path(image), target / f"{image}.png")
            about = {"file_name": f"{image}.png", "text": prompts[image], "trial": trial.index}
            action = {"action": trial.action.to_json(), "verdict": liked.get(image, 0)}
            lines.append(json.dumps({**about, **action}))
    (target / "metadata.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ExportError(
            "Parquet needs pyarrow, which is not installed: pip install 'fabricbo[web]'"
        ) from error
    return pyarrow, parquet
