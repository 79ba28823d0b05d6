"""What `Study.tell` is told: scores of one objective, or of several by name."""

from collections.abc import Mapping, Sequence

from fabricbo.scores import Measure, Score, is_finite
from fabricbo.study.measures import measured
from fabricbo.study.over_prompts import score_over_prompts
from fabricbo.study.settings import StudySettings

Outcome = Score | Sequence[float] | Mapping[str, Score | Sequence[float]] | None
"""Scores of a trial: of the only objective, or by the name of what is measured; None where its
images wait for a person."""


def read_outcome(
    given: Outcome, measures: Sequence[Measure], settings: StudySettings, images: int
) -> list[Score | None]:
    """Return one score a measure, None of what people say; nothing where nothing was given.

    Raises:
        ValueError: not as many values as images, one that is not finite, or not all that is
            measured.
    """
    if given is None:
        return []
    # Where nothing is measured, whoever judges may tell a number.
    expected = measured(measures) or measures
    names = [measure.name for measure in expected]
    by_name = given if isinstance(given, Mapping) else {names[0]: given}
    if set(by_name) != set(names):
        raise ValueError(f"expected scores of {', '.join(names)}, got {', '.join(by_name)}")
    scores = [_score(by_name[one.name], one, settings, images) for one in expected]
    return [*[None] * (len(measures) - len(expected)), *scores]


def check_seconds(seconds: float | None) -> None:
    """Check how long something took.

    Raises:
        ValueError: it is negative or not finite.
    """
    if seconds is not None and not (is_finite(seconds) and seconds >= 0):
        raise ValueError(f"seconds must be finite and at least 0, got {seconds}")


def _score(
    given: Score | Sequence[float], measure: Measure, settings: StudySettings, images: int
) -> Score:
    values = given.values if isinstance(given, Score) else tuple(given)
    prompts = len(settings.prompts)
    if len(values) not in (prompts, images):
        one = "one" if prompts == 1 else f"one a prompt ({prompts})"
        raise ValueError(f"expected {images} scores or {one}, got {len(values)}")
    return score_over_prompts(values, prompts, settings, measure)
