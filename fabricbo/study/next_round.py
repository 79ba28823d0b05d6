"""The round that follows a full one: its seeds, and what joins the pool."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fabricbo.records import Round, Trial
from fabricbo.study.errors import StudyCompleteError
from fabricbo.study.pool import grown_pool
from fabricbo.study.rounds import (
    Growth,
    growth,
    growth_by_preferences,
    growth_by_votes,
    keeps_bounds,
    round_seeds,
    with_wishes,
)

if TYPE_CHECKING:
    from fabricbo.study.study import Study


def next_round(study: "Study", current: Round, here: Sequence[Trial], *, scored: bool) -> Round:
    """Decide what the next round is; nothing is stored.

    Args:
        study: the study.
        current: its last round.
        here: the trials of that round, as many as it is to have.
        scored: whether an objective scores; else people judge.

    Raises:
        StudyCompleteError: there is none to follow, or what is pending comes first.
    """
    settings = study.settings
    # Else no round begins with what the one before came to, and nobody need wait for it.
    waits = settings.pool.grows or settings.rating is not None
    if waits and any(trial.status.is_pending for trial in here):
        raise StudyCompleteError(f"round {current.index} is full; its pending trials come first")
    if current.index == settings.rounds:
        raise StudyCompleteError(f"all {study.planned_trials} planned trials have been asked for")
    index = current.index + 1
    # Trials of different rounds are compared image by image: with the same seed.
    compared = settings.rating is not None and settings.rating.compares
    fresh = round_seeds(settings.seed, index, settings.images)
    chosen = _growth(study, current, here, scored=scored)
    if study.space.roles:
        chosen = with_wishes(chosen, study.ballots.wishes())
    pool = grown_pool(current, chosen, study.images.load)
    return Round(index, current.seeds if compared else fresh, pool)


def _growth(study: "Study", current: Round, here: Sequence[Trial], *, scored: bool) -> Growth:
    """Choose what joins the pool: by scores, by votes, or by what was told in Python."""
    liked, disliked = study.settings.pool.grow_liked, study.settings.pool.grow_disliked
    if scored:
        return growth(here, study.measures, liked, disliked)
    counts = study.ballots.verdicts()
    if any(counts.values()):
        known = {reference.id for reference in current.pool}
        new = [i for trial in study.trials for i in trial.images if i not in known]
        broken = [t for t in study.trials if not keeps_bounds(t, study.measures)]
        breaking = {image for trial in broken for image in trial.images}
        return growth_by_votes(new, breaking, counts, liked, disliked)
    return growth_by_preferences(here, study.measures, study.preferences, liked, disliked)
