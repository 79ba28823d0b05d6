"""Preference pairs in the columns of Pick-a-Pic, to train a reward model or DPO.

Kirstain et al., "Pick-a-Pic" (arXiv 2305.01569). As there, `jpg_0` and `jpg_1` hold the files of
the images (here PNG), and a tie is 0.5 for both.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fabricbo.rating.export import ExportError, image_prompts, write_parquet
from fabricbo.study import Study
from fabricbo.votes import Vote

PAIR_COLUMNS = {
    "are_different": "bool_",
    "best_image_uid": "string",
    "caption": "string",
    "created_at": "string",
    "has_label": "bool_",
    "image_0_uid": "string",
    "image_0_url": "string",
    "image_1_uid": "string",
    "image_1_url": "string",
    "jpg_0": "binary",
    "jpg_1": "binary",
    "label_0": "float64",
    "label_1": "float64",
    "model_0": "string",
    "model_1": "string",
    "ranking_id": "int64",
    "user_id": "int64",
    "num_example_per_prompt": "int64",
}
"""Those of Pick-a-Pic, with their types in Arrow's words."""
TIE = "tie"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images and which is better."""

    caption: str
    image_0: str
    """Identity in the image store."""
    image_1: str
    label_0: float
    """1 where the first is better, 0 where the second is, 0.5 for neither."""
    vote: int
    """The vote that says so; one that chooses among several makes several pairs."""
    user_id: int
    created: datetime | None = None

    @property
    def best(self) -> str:
        """Identity of the better image, or that there is none."""
        return {1.0: self.image_0, 0.0: self.image_1}.get(self.label_0, TIE)


def pairs(study: Study) -> list[Pair]:
    """Return the image pairs that counting votes compare; gold checks are none."""
    prompts = dict(image_prompts(study))
    found: list[Pair] = []
    for vote in study.ballots.counted():
        shown = vote.task.shown
        if all(option.trial is not None for option in shown):
            caption = prompts.get(shown[0].image, study.settings.prompt_text)
            about = (vote.id, vote.task.rater, vote.created)
            found += (Pair(caption, *pair, *about) for pair in _labelled(vote))
    return found


def _labelled(vote: Vote) -> Iterator[tuple[str, str, float]]:
    """Return two images and the label of the first, for each comparison that a vote makes."""
    images = [option.image for option in vote.task.shown]
    if vote.task.question.kind == "pairwise":
        yield images[0], images[1], {"left": 1.0, "right": 0.0}.get(vote.answer, 0.5)
    elif vote.task.question.kind == "best-of":
        place = int(vote.answer) - 1
        for other in (*images[:place], *images[place + 1 :]):
            yield images[place], other, 1.0


def write_pairs_parquet(study: Study, target: Path) -> None:
    """Write preference pairs as Pick-a-Pic has them, images inside.

    Raises:
        ExportError: nobody has compared two images, or pyarrow is not installed.
    """
    found = pairs(study)
    if not found:
        raise ExportError(
            "no vote that counts compares two images; pairwise and best-of questions do"
        )
    per_prompt = Counter(pair.caption for pair in found)
    rows = [_row(study, pair, per_prompt[pair.caption]) for pair in found]
    write_parquet(rows, PAIR_COLUMNS, target)


def _row(study: Study, pair: Pair, per_prompt: int) -> dict[str, Any]:
    model = study.settings.checkpoint.name
    return {
        "are_different": pair.image_0 != pair.image_1,
        "best_image_uid": pair.best,
        "caption": pair.caption,
        "created_at": None if pair.created is None else pair.created.isoformat(),
        "has_label": True,
        "image_0_uid": pair.image_0,
        "image_1_uid": pair.image_1,
        "jpg_0": study.images.read(pair.image_0),
        "jpg_1": study.images.read(pair.image_1),
        "label_0": pair.label_0,
        "label_1": 1 - pair.label_0,
        "model_0": model,
        "model_1": model,
        "ranking_id": pair.vote,
        "user_id": pair.user_id,
        "num_example_per_prompt": per_prompt,
    }
