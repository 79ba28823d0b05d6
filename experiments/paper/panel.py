"""Who looks at the images: the scorer that chooses feedback, CLIP, a judge that chooses nothing.

The authors choose by PickScore, or by similarity to a target in CLIP ViT-L/14@336px, in which they
also measure similarity to liked and disliked images and to each other. At the bundled checkpoint
the bundled preference scorer stands in for the one and the bundled scorer for the other; the judge
is a classifier of another architecture that no search and no choice ever asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from experiments.demo_data import Attributes
from experiments.demo_training.export import load_judge
from experiments.demo_training.judge import CLASSES, name_attributes
from experiments.demo_training.pixels import to_tensor
from experiments.demo_training.taste import BACKGROUND_TASTE, PROMPT_TASTE, STYLE_TASTE
from experiments.paper.tasks import Task
from fabricbo import Objective, ObjectiveError, load_objective
from fabricbo.scoring import Placement, declaration, evaluate, prepare
from objectives.embedder import check_scorer, load_embedder
from objectives.networks import Place

Embed = Callable[[Sequence[Image.Image]], Tensor]
"""Images to unit vectors, `images channels`."""
Scorer = Callable[[Sequence[Image.Image], Task], list[float]]

JUDGE_FOLDER = Path(__file__).parents[2] / "tests" / "data" / "judge"


@dataclass(frozen=True)
class PanelChoice:
    """Who is to look."""

    scorer: str
    """Objective that chooses feedback, unless a target does."""
    scorer_options: Mapping[str, Any]
    clip: str
    """open_clip model for similarities."""
    judge: str | None
    """Objective that chooses nothing, `demo`, or nobody."""
    device: str = "auto"


class Panel:
    """Everybody who looks at images."""

    def __init__(
        self,
        scorer: Scorer,
        embed: Embed,
        judge: Scorer | None = None,
        load: Callable[[], None] = lambda: None,
    ) -> None:
        """Bring together who chooses, what is similar, and who judges.

        Args:
            scorer: chooses.
            embed: images as vectors.
            judge: chooses nothing.
            load: loads all their networks.
        """
        self.scorer, self.embed, self._judge, self.load = scorer, embed, judge, load

    def judge(self, images: Sequence[Image.Image], task: Task) -> list[float]:
        """Return the judge's numbers; none without a judge."""
        return [] if self._judge is None else self._judge(images, task)


def make_panel(choice: PanelChoice, *, of_target: bool) -> Panel:
    """Find everybody, without loading a network.

    Args:
        choice: who is to look.
        of_target: whether feedback is chosen by similarity to a target.

    Raises:
        ObjectiveError: one of them cannot be found.
    """
    check_scorer(choice.clip)
    place = Place(choice.device)

    def embed(images: Sequence[Image.Image]) -> Tensor:
        return load_embedder(choice.clip, place).images(images)

    there = Placement(choice.device)
    named = [] if of_target else [load_objective(choice.scorer, choice.scorer_options, there)]
    if choice.judge is not None and choice.judge != "demo":
        named.append(load_objective(choice.judge, placement=there))
    for objective in named:
        _check(objective)
    scorer = by_target(embed) if of_target else by_objective(named[0])
    judge: Scorer | None = None
    if choice.judge == "demo":
        judge = demo_judge(of_target=of_target)
    elif choice.judge is not None:
        judge = by_objective(named[-1])

    def load() -> None:
        load_embedder(choice.clip, place)
        for objective in named:
            prepare(objective)

    return Panel(scorer, embed, judge, load)


def _check(objective: Objective) -> None:
    declared = declaration(objective)
    if declared.per != "image" or declared.direction != "maximize":
        raise ObjectiveError(
            f"{declared.name} cannot choose or judge images: an objective that is maximized and "
            f"returns one number an image is needed, this one is {declared.direction}d and returns "
            f"one a {declared.per}"
        )


def by_objective(objective: Objective) -> Scorer:
    """Score by an objective of fabricbo, for the whole prompt, whatever was left out of it."""

    def score(images: Sequence[Image.Image], task: Task) -> list[float]:
        return list(evaluate(objective, images, task.prompt).values)

    return score


def by_target(embed: Embed) -> Scorer:
    """Score by similarity to the target of the task."""

    def score(images: Sequence[Image.Image], task: Task) -> list[float]:
        if task.target is None:
            raise ValueError(f"task {task.index} has no target to compare with")
        cosines: list[float] = (embed(images) @ embed([task.target])[0]).tolist()
        return cosines

    return score


def demo_judge(*, of_target: bool) -> Scorer:
    """Judge images of the bundled checkpoint by what a classifier sees on them.

    Args:
        of_target: whether to return the share of object, style and background that are the
            target's; else the written taste that the preference scorer learnt from, without
            sharpness, which the classifier does not see.
    """
    judge = load_judge(JUDGE_FOLDER)

    def score(images: Sequence[Image.Image], task: Task) -> list[float]:
        wanted = _known(task)
        seen = name_attributes(judge, to_tensor(images))
        return [_share(one, wanted) if of_target else _taste(one, wanted) for one in seen]

    return score


def _known(task: Task) -> Attributes:
    if task.shown is None:
        raise ValueError(f"nobody knows what task {task.index} is to show, so it cannot be judged")
    return task.shown


def _share(seen: Attributes, wanted: Attributes) -> float:
    return sum(getattr(seen, name) == getattr(wanted, name) for name in CLASSES) / len(CLASSES)


def _taste(seen: Attributes, wanted: Attributes) -> float:
    taste = STYLE_TASTE[seen.style] + BACKGROUND_TASTE[seen.background]
    return taste + PROMPT_TASTE * (seen.concept == wanted.concept)


def similarity(one: Tensor, other: Tensor) -> float:
    """Return the mean cosine of all pairs of unit vectors from two groups."""
    return float((one @ other.T).mean())


def diversity(vectors: Tensor) -> float:
    """Return one minus the mean cosine of all pairs within a group of two or more."""
    rows, columns = torch.triu_indices(len(vectors), len(vectors), offset=1)
    return 1 - float((vectors @ vectors.T)[rows, columns].mean())
