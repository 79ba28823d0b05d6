"""The top of the page: what was asked for, and hand settings and best side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fabricbo.imagefiles import open_image, pixel_hash
from fabricbo.report.embed import EmbeddedImages
from fabricbo.report.known import Known
from fabricbo.report.pictures import Picture, PictureGroup, drawn_pictures
from fabricbo.report.wording import counted, score_text, value_text
from fabricbo.scores import Measure

MOST_IMAGES = 8
"""Images of baseline and best each that are shown."""


@dataclass(frozen=True)
class Side:
    """Baseline or best."""

    title: str
    score: str
    groups: Sequence[PictureGroup]


def facts(known: Known) -> str:
    """Say how much was drawn."""
    study, settings = known.study, known.study.settings
    done = sum(bool(trial.images) for trial in known.trials)
    said = f"{done} of {study.planned_trials} trials drawn, {counted(settings.images, 'image')}"
    if len(settings.prompts) == 1:
        return f"{said} each"
    over = "mean" if settings.over_prompts == "mean" else "worst"
    return f"{said} for each of {len(settings.prompts)} prompts (the {over} counts)"


def aims(measures: Sequence[Measure]) -> str:
    """Say what is wanted of the images."""
    wanted = [f"{m.direction} {m.name}" for m in measures if not m.is_constraint]
    bounds = [m.bounds_text for m in measures if m.is_constraint]
    return " and ".join(wanted) + (f", keeping {' and '.join(bounds)}" if bounds else "")


def measured(known: Known) -> str:
    """Name what effects and slices are about."""
    study = known.study
    if known.judged:
        return "the preference"
    return "the score" if len(study.measures) == 1 else study.objective_name


def target_picture(known: Known, embedded: EmbeddedImages) -> Picture | None:
    """Return the target image, if an objective has one and it still opens."""
    targets = (one.options.get("target") for one in known.study.settings.objective)
    path = next((target for target in targets if isinstance(target, str)), None)
    if path is None:
        return None
    try:
        image = open_image(Path(path))
    except (OSError, ValueError):
        return None
    return Picture(embedded.add(pixel_hash(image), image), "the target")


def sides(known: Known, embedded: EmbeddedImages) -> list[Side]:
    heldout, best = known.study.heldout, known.best
    hand = next((trial for trial in known.trials if trial.index == 0 and trial.images), None)
    if hand is None or best is None:
        return []
    titles = ("Hand settings", f"Best: trial {best.index}")
    shown = [(hand.score, hand.images), (best.score, best.images)]
    if heldout is not None:
        shown = [
            (heldout.first.baseline, heldout.baseline_images),
            (heldout.first.best, heldout.best_images),
        ]
    prompts = known.study.settings.prompts
    return [
        Side(title, score_text(score), _some(drawn_pictures(images, title, prompts, embedded)))
        for title, (score, images) in zip(titles, shown, strict=True)
    ]


def _some(groups: Sequence[PictureGroup]) -> list[PictureGroup]:
    """Keep the first images of each prompt."""
    most = max(1, MOST_IMAGES // max(1, len(groups)))
    return [PictureGroup(group.caption, group.pictures[:most]) for group in groups]


def comparison(known: Known) -> list[tuple[str, str, str, bool]]:
    """Return name, hand value, best value and whether it varies, for every setting."""
    study, best = known.study, known.best
    if best is None:
        return []
    hand, found, varying = study.space.hand, best.action.params, study.space.parameters
    return [
        (name, value_text(getattr(hand, name)), value_text(getattr(found, name)), name in varying)
        for name in study.space.settings
    ]
