"""What a study takes over from the one that it starts from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fabricbo.records import Trial
from fabricbo.scores import Measure

if TYPE_CHECKING:
    from fabricbo.study.study import Study


def comparable_trials(earlier: "Study", measures: Sequence[Measure]) -> tuple[Trial, ...]:
    """Return the scored trials of an earlier study, the hand settings first.

    Raises:
        ValueError: it measures something else, or its hand settings have no score.
    """
    theirs, ours = [m.direction for m in earlier.measures], [m.direction for m in measures]
    if theirs != ours:
        raise ValueError(
            f"start_from: the study in {earlier.folder} measures "
            f"{', '.join(m.name for m in earlier.measures)}, this one "
            f"{', '.join(m.name for m in measures)}"
        )
    if earlier.baseline is None:
        raise ValueError(
            f"start_from: the hand settings have no score in {earlier.folder}, "
            "so its scores cannot be compared with those of another study"
        )
    return tuple(trial for trial in earlier.trials if trial.score is not None)
