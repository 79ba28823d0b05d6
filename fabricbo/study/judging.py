"""Which trials a person may be shown, and whether a judgement is about them."""

from collections import Counter
from collections.abc import Sequence

from fabricbo.records import Trial
from fabricbo.scores import Preference


def shown_indices(trials: Sequence[Trial], given: Sequence[Trial]) -> list[int]:
    """Return the indices of trials that a person judged.

    Raises:
        ValueError: one is not among the study's trials, or has no images yet.
    """
    return [_index(trials, trial) for trial in given]


def _index(trials: Sequence[Trial], trial: Trial) -> int:
    known = trials[trial.index] if trial.index < len(trials) else None
    if known is None or (known.action, known.seeds) != (trial.action, trial.seeds):
        raise ValueError(f"trial {trial.index} is not one of this study's")
    if not known.images or (trial.images and trial.images != known.images):
        raise ValueError(f"trial {trial.index} of this study has no such images")
    return known.index


def least_compared(
    shown: Sequence[Trial], preferences: Sequence[Preference]
) -> tuple[Trial, Trial]:
    """Return the two of at least two trials that were compared least, the first of equals."""
    count = Counter(index for one in preferences for index in (one.better, one.worse))
    one, other, *_ = sorted(shown, key=lambda trial: count[trial.index])
    return one, other
