"""Images of a study as a folder that Hugging Face's `imagefolder` reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fabricbo.counted import Counter, counted, uncounted
from fabricbo.rating.export import ExportError, image_prompts
from fabricbo.study import Study

METADATA = "metadata.jsonl"


def write_image_folder(study: Study, target: Path, tell: Counter = uncounted) -> None:
    """Write images with `metadata.jsonl`.

    Args:
        study: whose images.
        target: folder, new or empty.
        tell: told how many are written.

    Raises:
        ExportError: the folder exists and is not empty.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExportError(f"{target} is there already and not an empty folder; name another one")
    target.mkdir(parents=True, exist_ok=True)
    lines = []
    for row in counted(list(_rows(study)), tell):
        (target / row["file_name"]).write_bytes(study.images.read(row["identity"]))
        lines.append(json.dumps(row, allow_nan=False))
    (target / METADATA).write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _rows(study: Study) -> Iterator[dict[str, Any]]:
    """Return what is known of each image; one that several trials drew is the first one's."""
    liked, prompts = study.ballots.verdicts(), dict(image_prompts(study))
    seen: set[str] = set()
    for trial in study.trials:
        for image in trial.images:
            if image not in seen:
                seen.add(image)
                yield {
                    "file_name": f"{image}.png",
                    "text": prompts[image],
                    "identity": image,
                    "trial": trial.index,
                    "action": trial.action.to_json(),
                    "verdict": liked.get(image, 0),
                }


def remove_image_folder(target: Path) -> None:
    """Remove what an earlier export wrote, and nothing else.

    Raises:
        ExportError: the folder holds something else, and no `metadata.jsonl` that names its files.
    """
    try:
        lines = (target / METADATA).read_text("utf-8").splitlines()
        names = [str(json.loads(line)["file_name"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{target} was not written by an export; name another folder") from error
    for name in names:
        if Path(name).name == name:  # nothing outside the folder
            (target / name).unlink(missing_ok=True)
    (target / METADATA).unlink()
