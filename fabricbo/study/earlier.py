"""What a study takes over from the one that it starts from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fabricbo.records import Trial
from fabricbo.scores import Measure
from fabricbo.study.measures import people_decide

if TYPE_CHECKING:
    from fabricbo.study.study import Study


def comparable_trials(earlier: "Study", measures: Sequence[Measure]) -> tuple[Trial, ...]:
    """Return the scored trials of an earlier study, the hand settings first.

    Their scores come in the order of `measures`, whatever their order was there. Names tell what
    is the same: nothing else could.

    Raises:
        ValueError: it measures something else, or its hand settings have no score.
    """
    _check_measures(earlier, measures)
    if earlier.baseline is None:
        raise ValueError(
            f"start_from: the hand settings have no score in {earlier.folder}, "
            "so its scores cannot be compared with those of another study"
        )
    names = [measure.name for measure in earlier.measures]
    order = [names.index(measure.name) for measure in measures]
    return tuple(_reordered(trial, order) for trial in earlier.trials if trial.scores)


def _check_measures(earlier: "Study", measures: Sequence[Measure]) -> None:
    theirs, ours = ({(m.name, m.direction) for m in some} for some in (earlier.measures, measures))
    if people_decide(measures):
        raise ValueError(
            f"start_from: people judge this study, and the scores of {earlier.folder} "
            f"({_said(earlier.measures)}) are no judgements; leave start_from out, or name an "
            "objective to optimize"
        )
    if theirs == ours:
        return
    raise ValueError(
        f"start_from: the study in {earlier.folder} measures {_said(earlier.measures)}, this one "
        f"{_said(measures)}; names and directions must be the same (a label names an objective)"
    )


def _said(measures: Sequence[Measure]) -> str:
    return ", ".join(f"{measure.name} ({measure.direction})" for measure in measures)


def _reordered(trial: Trial, order: Sequence[int]) -> Trial:
    first, *further = (trial.scores[place] for place in order)
    return replace(trial, score=first, further=tuple(further))
