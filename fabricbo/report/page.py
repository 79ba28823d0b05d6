"""The page: gathered from a study, laid out by a template, written whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from fabricbo.report.analyses import PAGE as ANALYSES
from fabricbo.report.cards import Card, pool_pictures, round_strips, trial_card
from fabricbo.report.carryover import carry_rows, carry_sentence
from fabricbo.report.curve import score_curve
from fabricbo.report.effects import EffectRow, effect_rows
from fabricbo.report.embed import EmbeddedImages
from fabricbo.report.files import write_whole
from fabricbo.report.front import front_figure, objectives, plane
from fabricbo.report.known import Known, read
from fabricbo.report.measures import measure_rows, unkept
from fabricbo.report.parallel import parallel_coordinates
from fabricbo.report.plot import figure_html
from fabricbo.report.slices import SlicePlot, slice_plots
from fabricbo.report.templates import template
from fabricbo.report.top import aims, comparison, facts, measured, sides, target_picture
from fabricbo.report.wording import expectation, going_on, headline
from fabricbo.study import Study


@dataclass(frozen=True)
class Front:
    """Several objectives: the trials by them, and those that none other beats."""

    figure: Markup
    cards: Sequence[Card]
    others: str
    """Objectives that the figure does not show, by name."""


def write_report(study: Study, target: Path | None = None) -> Path:
    """Write a study's page, by default as `report.html` in its folder; returns where.

    It appears under its name when it is whole. Nothing in it asks any host for anything.
    """
    return write_whole(target or study.folder / "report.html", render(study))


def render(study: Study) -> str:
    """Return the page as HTML."""
    embedded, known = EmbeddedImages(study.images), read(study)
    best, domains = known.best, study.space.domains
    page = {
        "settings": study.settings,
        "direction": study.direction,
        "facts": facts(known),
        "analyses": ANALYSES if (study.folder / ANALYSES).is_file() else None,
        "aims": aims(study.measures),
        "headline": headline(study),
        "carry_sentence": carry_sentence(study),
        "carried": carry_rows(study),
        "unkept": unkept(known),
        "breaking": known.breaking,
        "target": target_picture(known, embedded),
        "sides": sides(known, embedded),
        "measures": measure_rows(known),
        "comparison": comparison(known),
        "expectation": expectation(study),
        "going_on": going_on(study),
        "best_card": None if best is None else trial_card(known, best, embedded),
        "curve": _curve(known),
        "front": _front(known, embedded),
        "measured": measured(known),
        "effects": _effects(known, embedded),
        "slices": _slices(known),
        "parallel": parallel_coordinates(known.trials, domains, study.measures, best),
        "strips": round_strips(known, embedded),
        "pool": pool_pictures(known, embedded),
    }
    return template("template.html.j2").render(**page, images=Markup(embedded.css))


def _curve(known: Known) -> Markup | None:
    if not any(trial.scores for trial in known.trials):
        return None
    study = known.study
    figure = score_curve(
        known.trials, study.direction, name=study.objective_name, breaking=known.breaking
    )
    return figure_html(figure, with_script=True)


def _front(known: Known, embedded: EmbeddedImages) -> Front | None:
    measures, estimates = known.study.measures, known.assessment.estimates
    front = known.study.pareto()
    found = plane(known.trials, measures, estimates, front=front, breaking=known.breaking)
    if found is None:
        return None
    ordered = [known.trials[spot.trial] for spot in found.front]
    return Front(
        figure=figure_html(front_figure(found)),
        cards=[trial_card(known, trial, embedded) for trial in ordered],
        others=", ".join(measures[i].name for i in objectives(measures)[2:]),
    )


def _effects(known: Known, embedded: EmbeddedImages) -> list[EffectRow]:
    best, direction = known.best, known.study.direction
    if best is None:
        return []
    references = {r.id: r for current in known.rounds for r in current.pool}
    return effect_rows(known.assessment.effects, references, best.action, direction, embedded)


def _slices(known: Known) -> list[SlicePlot]:
    best, space = known.best, known.study.space
    if best is None:
        return []
    slices = known.assessment.slices
    return slice_plots(slices, space.domains, best=best.action.params, hand=space.hand)
