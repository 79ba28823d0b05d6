"""Ax's own analyses of a study, on the experiment that mirrors it.

The models in them are Ax's standard ones, which know no references but as choices of a role: a
second opinion on what our surrogate says.
"""

import logging
import math
from collections.abc import Iterator

from ax.adapter.base import Adapter
from ax.adapter.registry import Generators
from ax.analysis import (
    Analysis,
    ArmEffectsPlot,
    BestTrials,
    ConstraintFeasibilityPlot,
    CrossValidationPlot,
    MarginalEffectsPlot,
    MetricSummary,
    ParallelCoordinatesPlot,
    PlotlyAnalysisCard,
    ScatterPlot,
    SearchSpaceSummary,
    SensitivityAnalysisPlot,
    Summary,
    UtilityProgressionAnalysis,
)
from ax.core.analysis_card import AnalysisCard

from fabricbo.assessment import Analysed
from fabricbo.proposers.ax_experiment import MirroredExperiment, role_name
from fabricbo.proposers.baselines import proposal_seed
from fabricbo.proposers.bayes import own_randomness
from fabricbo.proposers.quiet import quiet
from fabricbo.protocols import History

logger = logging.getLogger(__name__)


def ax_analyses(history: History) -> list[Analysed]:
    """Return what Ax's analyses say; takes seconds to a minute.

    An analysis that Ax cannot make of this study is there with the reason.
    """
    mirror = MirroredExperiment(history)
    # Ax calls a role by the hash of its reference, here and there broken over two lines.
    names = {role_name(reference): reference.name for reference in history.pool}
    names |= {reference.id: reference.name for reference in history.pool}
    with own_randomness(proposal_seed(history)), quiet("ax"):
        adapter = _adapter(mirror)
        return [
            found
            for analysis in _analyses(mirror, history)
            for found in _computed(analysis, mirror, adapter, names)
        ]


def _adapter(mirror: MirroredExperiment) -> Adapter | None:
    """Fit Ax's standard model; None where there is too little to fit it to."""
    data = mirror.experiment.lookup_data()
    try:
        return Generators.BOTORCH_MODULAR(experiment=mirror.experiment, data=data)
    except Exception as error:  # Ax raises many kinds; what needs no model is still worth showing
        logger.warning("Ax's model could not be fitted: %s", error)
        return None


def _analyses(mirror: MirroredExperiment, history: History) -> Iterator[Analysis]:
    yield from (Summary(), SearchSpaceSummary(), MetricSummary())
    if len(history.objectives) == 1:
        yield BestTrials()
    yield UtilityProgressionAnalysis()
    for metric in mirror.metrics:
        yield ArmEffectsPlot(metric)
        yield ParallelCoordinatesPlot(metric)
        yield SensitivityAnalysisPlot(metric_name=metric)
        if history.space.roles and history.pool:
            yield MarginalEffectsPlot(metric)
    yield CrossValidationPlot()
    if len(history.objectives) > 1:
        first, second, *_ = history.objectives
        yield ScatterPlot(mirror.metrics[first], mirror.metrics[second], show_pareto_frontier=True)
    if any(measure.is_constraint for measure in history.measures):
        yield ConstraintFeasibilityPlot()


def _computed(
    analysis: Analysis,
    mirror: MirroredExperiment,
    adapter: Adapter | None,
    names: dict[str, str],
) -> list[Analysed]:
    name = type(analysis).__name__
    try:
        cards = analysis.compute(experiment=mirror.experiment, adapter=adapter).flatten()
    except Exception as error:  # Ax raises many kinds; the others are still worth showing
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return [Analysed(name, name, problem=reason)]
    return [_analysed(name, card, names) for card in cards]


def _analysed(name: str, card: AnalysisCard, names: dict[str, str]) -> Analysed:
    figure = card.get_figure().to_json() if isinstance(card, PlotlyAnalysisCard) else None
    columns = [_renamed(str(column), names) for column in card.df.columns]
    rows = [[_renamed(_text(value), names) for value in row] for row in card.df.to_numpy().tolist()]
    return Analysed(
        name,
        _renamed(card.title, names),
        _renamed(card.subtitle, names),
        None if figure is None else _renamed(figure, names),
        () if figure else (tuple(columns), *map(tuple, rows)),
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def _renamed(text: str, names: dict[str, str]) -> str:
    for role, name in names.items():
        text = text.replace(role, name.replace("\\", "").replace('"', ""))
    return text
