"""What the page says in words: one honest sentence, and numbers as text."""

import math
from statistics import NormalDist

from fabricbo.records import Trial, TrialStatus
from fabricbo.scores import Score
from fabricbo.study import Study
from fabricbo.study.heldout import Comparison

ERRORS = 2
"""Standard errors to either side that intervals of the page cover."""


def headline(study: Study) -> str:
    """Say in one sentence how the best settings compare with the hand settings."""
    best, baseline = study.best(), study.baseline
    if best is None or best.score is None:
        return _judged(study, best)
    if baseline is None:
        return "The hand settings have no score, so there is nothing to compare with."
    if best.index == baseline.index:
        return f"Nothing that was tried {_ahead_of(study)} the usual hand settings."
    said = _among(study, _gain(study, best, baseline))
    broken = [] if study.broken_bounds(best) else study.broken_bounds(baseline)
    if broken:
        said += f" The hand settings do not keep {' and '.join(broken)}, the best settings do."
    return said


def _gain(study: Study, best: Trial, baseline: Trial) -> str:
    if study.heldout is not None:
        return compared(study.heldout.first)
    fresh = "the comparison on fresh seeds is still to be drawn"
    if not study.settings.heldout:
        fresh = "without a comparison on fresh seeds (heldout = 0) that flatters the best"
    return (
        f"Trial {best.index} scored {_number(best)} where the hand settings scored "
        f"{_number(baseline)}; {fresh}."
    )


def _ahead_of(study: Study) -> str:
    if len(study.measures) == 1:
        return "scored better than"
    return "is better, by all that is measured, than"


def _among(study: Study, said: str) -> str:
    """Name the objective that a comparison is about, where there are others."""
    count = sum(not measure.is_constraint for measure in study.measures)
    if count == 1:
        return said
    return (
        f"By {study.objective_name}, the first of {count} objectives, {said[0].lower()}{said[1:]}"
    )


def _judged(study: Study, best: Trial | None) -> str:
    """Say what people prefer; that no trial has a score where none is to be judged."""
    drawn = sum(trial.status is TrialStatus.AWAITING_RATING for trial in study.trials)
    if best is None:
        waiting = f"{counted(drawn, 'trial')} drawn, waiting for a person's judgement."
        return waiting if drawn else "No trial has a score yet."
    going_by = f"going by {counted(len(study.preferences), 'judgement')}"
    if best.index == 0:
        kept = _if_bounded(study, best, " and keeps all bounds")
        return f"Nothing that was tried{kept} is preferred to the usual hand settings, {going_by}."
    kept = _if_bounded(study, best, " of what keeps all bounds")
    return f"Trial {best.index} is preferred{kept}, {going_by}."


def _if_bounded(study: Study, best: Trial, said: str) -> str:
    """Return what is to be said where there are bounds and the best keeps them."""
    bounded = any(measure.is_constraint for measure in study.measures)
    return said if bounded and not study.broken_bounds(best) else ""


def compared(found: Comparison) -> str:
    """Compare on held-out seeds; a gain is claimed beyond two standard errors only."""
    gain = found.gain
    seeds = f"on {len(gain.values)} fresh seeds that the search never saw"
    numbers = f"{number_text(found.best.mean)} against {number_text(found.baseline.mean)}"
    error = gain.standard_error
    if error is None:
        return f"The best settings scored {numbers}, measured once, so its noise is unknown."
    scored = f"{numbers}, on average {_better(gain.mean)}, most likely between "
    scored += _ends(gain.mean - ERRORS * error, gain.mean + ERRORS * error)
    if gain.mean > ERRORS * error:
        return f"The best settings beat the usual hand settings {seeds}: {scored}."
    if gain.mean < -ERRORS * error:
        return f"The best settings did worse than the usual hand settings {seeds}: {scored}."
    return f"No clear gain over the usual hand settings {seeds}: {scored}."


def _ends(low: float, high: float) -> str:
    """Write an interval of gains: `0.1 and 0.3 better`, or `0.1 worse and 0.3 better`."""
    if (low >= 0) == (high >= 0):
        low, high = sorted((low, high), key=abs)
        return f"{number_text(abs(low))} and {_better(high)}"
    return f"{_better(low)} and {_better(high)}"


def _better(gain: float) -> str:
    return f"{number_text(abs(gain))} {'better' if gain >= 0 else 'worse'}"


def expectation(study: Study) -> str | None:
    """Say what the best trial is expected to score; None where nothing was estimated."""
    best, assessment = study.best(), study.assessment
    if best is None:
        return None
    if best.index in assessment.utilities:
        said = f"Trial {best.index} is the best by what all judgements together say"
        said += _if_bounded(study, best, ", of those that keep all bounds")
        return f"{said}{_preferred_to_hand(study, best)}."
    if best.index not in assessment.estimates:
        return None
    found = assessment.estimates[best.index][0]
    return (
        f"Trial {best.index} is the best by what all trials together say: expected score "
        f"{number_text(found.mean)} ± {number_text(found.standard_error)}, "
        f"where its own images scored {score_text(best.score)}."
    )


def _preferred_to_hand(study: Study, best: Trial) -> str:
    """Say how often people should prefer a trial to the hand settings: a utility says it to nobody.

    One is preferred to another with probability Phi(difference / sqrt(2)), see `preference`.
    """
    hand = study.assessment.utilities.get(0)
    if hand is None or best.index == 0:
        return ""
    found = study.assessment.utilities[best.index]
    gain, error = found.mean - hand.mean, math.hypot(found.standard_error, hand.standard_error)
    likely, low, high = (
        NormalDist().cdf((gain + errors * error) / math.sqrt(2)) for errors in (0, -1, 1)
    )
    return (
        f"; of people who compare it with the hand settings {likely:.0%} should prefer it "
        f"({low:.0%} to {high:.0%} within one standard error)"
    )


def going_on(study: Study) -> str | None:
    """Say whether more trials are worth it; None where nobody can say."""
    advice = study.assessment.advice
    if advice is None:
        return None
    bounded = any(measure.is_constraint for measure in study.measures)
    kept = " that keeps all bounds" if bounded else ""
    if study.preferences:
        return (
            f"Chance that nothing in this space{kept} pleases more than the best by over "
            f"{advice.tolerance:.0%} of what lies between the worst and the best: "
            f"{advice.probability:.0%}. What going on could gain is put at "
            f"{advice.expected_gain:.0%} of it."
        )
    if len(study.history.objectives) > 1:
        return (
            f"Chance that the Pareto front covers all but {advice.tolerance:.0%} of what can be "
            f"covered in this space: {advice.probability:.0%}. What is missing is put at "
            f"{advice.expected_gain:.0%} of it."
        )
    return (
        f"Chance that nothing in this space{kept} beats the best by more than "
        f"{number_text(advice.tolerance)}: {advice.probability:.0%}. "
        f"What more trials could gain is put at {number_text(advice.expected_gain)}."
    )


def _number(trial: Trial) -> str:
    return "-" if trial.score is None else number_text(trial.score.mean)


def score_text(score: Score | None) -> str:
    """Write a score with its standard error."""
    if score is None:
        return ""
    mean, error = score.mean, score.standard_error
    if error is None:
        return number_text(mean)
    if abs(mean) < 1e-9 * error:  # what is left of adding up to zero
        mean = 0.0
    return f"{number_text(mean)} ± {number_text(error)}"


def number_text(value: float) -> str:
    """Write a score: three places where they say something, else in scientific notation."""
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def value_text(value: float) -> str:
    """Write a parameter's value so that it can be copied."""
    return f"{value:.4g}"


def brief_value(value: float) -> str:
    """Write a parameter's value where there is little room; as `fabricbo show` does."""
    return f"{value:.2g}" if abs(value) < 0.1 else value_text(value)


def counted(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """Write how long something takes in two units at most."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole, 60, ("min", "s")) if whole < 600 else f"{whole // 60} min"
    if whole < 48 * 3600:
        return _two_units(whole // 60, 60, ("h", "min"))
    return _two_units(whole // 3600, 24, ("days", "h"))


def _two_units(number: int, size: int, units: tuple[str, str]) -> str:
    """Write a number of the smaller unit, of which so many are one of the larger."""
    large, small = divmod(number, size)
    return f"{large} {units[0]}" + (f" {small} {units[1]}" if small else "")
