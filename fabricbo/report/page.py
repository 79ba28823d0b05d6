"""The page: gathered from a study, laid out by a template, written whole or not at all."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, Template, select_autoescape
from markupsafe import Markup

from fabricbo.imagefiles import open_image, pixel_hash
from fabricbo.records import Reference, Trial
from fabricbo.report.curve import score_curve
from fabricbo.report.embed import EmbeddedImages
from fabricbo.report.wording import expectation, going_on, headline, score_text, value_text
from fabricbo.study import Study


@dataclass(frozen=True)
class Picture:
    """An image of the page, with the words for those who do not see it."""

    css: str
    text: str


@dataclass(frozen=True)
class Card:
    """A trial of the filmstrip."""

    title: str
    score: str
    source: str
    status: str
    reason: str | None
    is_best: bool
    pictures: Sequence[Picture]
    parameters: Sequence[tuple[str, str]]
    liked: Sequence[Picture]
    disliked: Sequence[Picture]


@dataclass(frozen=True)
class Strip:
    """A round of the filmstrip."""

    title: str
    joined: Sequence[Picture]
    cards: Sequence[Card]


@dataclass(frozen=True)
class Side:
    """Baseline or best, at the top."""

    title: str
    score: str
    pictures: Sequence[Picture]


def write_report(study: Study, target: Path | None = None) -> Path:
    """Write a study's page, by default as `report.html` in its folder; returns where.

    It appears under its name when it is whole. Nothing in it asks any host for anything.
    """
    target = (target or study.folder / "report.html").absolute()
    text = render(study)
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def render(study: Study) -> str:
    """Return the page as HTML."""
    embedded = EmbeddedImages(study.images)
    trials, best = study.trials, study.best()
    figure = score_curve(trials, study.direction)
    page = {
        "settings": study.settings,
        "objective": study.objective_name,
        "direction": study.direction,
        "headline": headline(study),
        "target": _target(study, embedded),
        "sides": _sides(study, embedded),
        "comparison": _comparison(study),
        "expectation": expectation(study),
        "going_on": going_on(study),
        "best_card": None if best is None else _card(study, best, best, embedded),
        "strips": _strips(study, embedded),
        "pool": _pool(study, embedded),
        "done": sum(trial.score is not None for trial in trials),
        "planned": study.planned_trials,
    }
    # plotly's script is our own dependency, not somebody's text.
    curve = figure.to_html(full_html=False, include_plotlyjs=True, config=_PLOTLY)
    return _template().render(**page, curve=Markup(curve), images=Markup(embedded.css))


_PLOTLY = {"displaylogo": False, "responsive": True, "displayModeBar": False}


def _template() -> Template:
    folder = files("fabricbo.report")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html.j2")


def _target(study: Study, embedded: EmbeddedImages) -> Picture | None:
    """Return the target image, if the objective has one and it still opens."""
    objective = study.settings.objective
    path = None if objective is None else objective.options.get("target")
    if not isinstance(path, str):
        return None
    try:
        image = open_image(Path(path))
    except (OSError, ValueError):
        return None
    return Picture(embedded.add(pixel_hash(image), image), "the target")


def _sides(study: Study, embedded: EmbeddedImages) -> list[Side]:
    heldout, baseline, best = study.heldout, study.baseline, study.best()
    if baseline is None or best is None:
        return []
    titles = ("Hand settings", f"Best: trial {best.index}")
    shown = [(baseline.score, baseline.images), (best.score, best.images)]
    if heldout is not None:
        shown = [
            (heldout.baseline, heldout.baseline_images),
            (heldout.best, heldout.best_images),
        ]
    return [
        Side(title, score_text(score), _pictures(images[:8], title, embedded))
        for title, (score, images) in zip(titles, shown, strict=True)
    ]


def _comparison(study: Study) -> list[tuple[str, str, str, bool]]:
    """Return name, hand value, best value and whether it varies, for every parameter."""
    best = study.best()
    if best is None:
        return []
    hand, found = study.space.hand.to_json(), best.action.params.to_json()
    varying = study.space.parameters
    return [
        (name, value_text(hand[name]), value_text(found[name]), name in varying) for name in hand
    ]


def _strips(study: Study, embedded: EmbeddedImages) -> list[Strip]:
    strips, known = [], set[str]()
    trials, best = study.trials, study.best()
    for current in study.rounds:
        new = [reference for reference in current.pool if reference.id not in known]
        known.update(reference.id for reference in new)
        cards = [_card(study, t, best, embedded) for t in trials if t.round == current.index]
        strips.append(Strip(f"Round {current.index}", _references(new, embedded), cards))
    return strips


def _pool(study: Study, embedded: EmbeddedImages) -> list[tuple[Picture, str]]:
    """Return every reference with the round in which it joined."""
    joined: dict[Reference, int] = {}
    for current in study.rounds:
        for reference in current.pool:
            joined.setdefault(reference, current.index)
    return [
        (picture, "from the start" if index == 1 else f"since round {index}")
        for picture, index in zip(_references(list(joined), embedded), joined.values(), strict=True)
    ]


def _card(study: Study, trial: Trial, best: Trial | None, embedded: EmbeddedImages) -> Card:
    params = trial.action.params
    return Card(
        title=f"Trial {trial.index}",
        score=score_text(trial.score),
        source=trial.source,
        status=str(trial.status),
        reason=trial.reason,
        is_best=best is not None and best.index == trial.index,
        pictures=_pictures(trial.images, f"trial {trial.index}", embedded),
        parameters=[(n, value_text(getattr(params, n))) for n in study.space.parameters],
        liked=_references(trial.action.liked, embedded),
        disliked=_references(trial.action.disliked, embedded),
    )


def _pictures(identities: Sequence[str], of: str, embedded: EmbeddedImages) -> list[Picture]:
    return [
        Picture(embedded.name(identity), f"image {number} of {of}")
        for number, identity in enumerate(identities, 1)
    ]


def _references(references: Sequence[Reference], embedded: EmbeddedImages) -> list[Picture]:
    return [Picture(embedded.add(r.id, r.image), r.name) for r in references]
