"""The page: gathered from a study, laid out by a template, written whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fabricbo.report.analyses import PAGE as ANALYSES
from fabricbo.report.analyses import kept_analyses, second_opinion
from fabricbo.report.calibration import calibration, calibration_figure, calibration_text
from fabricbo.report.cards import Card, pool_pictures, round_strips, trial_card
from fabricbo.report.carryover import carry_rows, carry_sentence
from fabricbo.report.contours import Placed, maps, ramp
from fabricbo.report.cost import cost
from fabricbo.report.curve import curve_text, judged_curve, round_curve, score_curve
from fabricbo.report.effects import EffectRow, effect_rows
from fabricbo.report.embed import BUDGET, EmbeddedImages
from fabricbo.report.files import write_whole
from fabricbo.report.front import front_figure, objectives, plane
from fabricbo.report.known import Known, read
from fabricbo.report.leaders import expected, leads
from fabricbo.report.measures import measure_rows, unkept
from fabricbo.report.parallel import parallel_coordinates
from fabricbo.report.plot import Charts
from fabricbo.report.raters import raters
from fabricbo.report.reproduce import reproduce
from fabricbo.report.sensitivity import shares
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


def render(study: Study, *, served: Markup | None = None) -> str:
    """Return the page as HTML.

    Args:
        study: opened for reading is enough.
        served: what a server has at its end; the policy on what it may load is then the server's.
    """
    known, analyses = read(study), kept_analyses(study)
    embedded = EmbeddedImages(study.images, BUDGET - (0 if analyses is None else analyses.size))
    best, domains = known.best, study.space.domains
    charts, strips = Charts(), round_strips(known, embedded)
    page = {
        "settings": study.settings,
        "direction": study.direction,
        "facts": facts(known),
        "complete": not any(trial.status.is_pending for trial in known.trials)
        and len(known.trials) >= study.planned_trials,
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
        **_curves(known, charts),
        "film": strips if any(trial.images for trial in known.trials) else [],
        "front": _front(known, embedded, charts),
        "measured": measured(known),
        "effects": _effects(known, embedded),
        "slices": _slices(known),
        "parallel": parallel_coordinates(known.trials, domains, study.measures, best),
        **_maps(known, embedded),
        "shares": shares(known.assessment.sensitivities),
        **_calibration(known, charts),
        "second_opinion": second_opinion(study, analyses, charts),
        "raters": raters(study),
        "cost": cost(known),
        "reproduce": reproduce(known),
        "strips": strips,
        "pool": pool_pictures(known, embedded),
    }
    return template("template.html.j2").render(**page, images=Markup(embedded.css), served=served)


def _curves(known: Known, charts: Charts) -> dict[str, Any]:
    """Return the curves of scores, and of what people say."""
    study, estimates = known.study, known.assessment.estimates
    found: dict[str, Any] = {}
    led = leads(known.trials, study.direction, estimates, broken=known.broken)
    if any(trial.scores for trial in known.trials):
        name = study.objective_name
        figure = score_curve(known.trials, led, name=name, breaking=known.breaking)
        found["curve"], found["curve_text"] = charts(figure), curve_text(led, name)
        found["estimated"] = bool(estimates)
        if len(known.rounds) > 1:
            found["round_curve"] = charts(round_curve(known.trials, led, name=name))
            found["rounds_text"] = f"{name} by round"
    if known.assessment.utilities:
        figure = judged_curve(known.trials, known.assessment.utilities, known.breaking)
        found["judged_curve"] = charts(figure)
    return found


def _maps(known: Known, embedded: EmbeddedImages) -> dict[str, Any]:
    study, best, contours = known.study, known.best, known.assessment.contours
    if best is None or not contours:
        return {}
    found = maps(
        contours,
        Placed(known.trials, study.space.domains, best, _worth(known)),
        study.direction,
        embedded,
    )
    hidden = any(e is None for one in contours for row in one.estimates for e in row)
    return {"maps": found, "ramp": ramp(contours, study.direction), "maps_hidden": hidden}


def _worth(known: Known) -> dict[int, float]:
    """Return how good each trial is, higher better: as people find it, or by what it scores."""
    utilities, estimates = known.assessment.utilities, known.assessment.estimates
    if utilities:
        return {index: found.mean for index, found in utilities.items()}
    sign = 1 if known.study.direction == "maximize" else -1
    return {t.index: sign * expected(t, estimates)[0] for t in known.trials if t.scores}


def _calibration(known: Known, charts: Charts) -> dict[str, Any]:
    found = calibration(known.trials, known.assessment.left_out)
    if found is None:
        return {}
    figure = calibration_figure(found, name=known.study.objective_name)
    return {"calibration": charts(figure), "calibration_text": calibration_text(found)}


def _front(known: Known, embedded: EmbeddedImages, charts: Charts) -> Front | None:
    measures, estimates = known.study.measures, known.assessment.estimates
    front = known.study.pareto()
    found = plane(known.trials, measures, estimates, front=front, breaking=known.breaking)
    if found is None:
        return None
    ordered = [known.trials[spot.trial] for spot in found.front]
    return Front(
        figure=charts(front_figure(found)),
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
