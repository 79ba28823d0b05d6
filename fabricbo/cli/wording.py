"""Studies and trials as lines of text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fabricbo.records import Reference, Trial, TrialStatus
from fabricbo.scores import Measure, Score
from fabricbo.study import Heldout, Study


def score_texts(trial: Trial, measures: Sequence[Measure]) -> list[str]:
    """Write a trial's scores, or where it stands; a mark follows what breaks a bound.

    With several scores their standard errors are left out: eighty columns have to do.
    """
    if not trial.scores:
        return [str(trial.status), *("" for _ in measures[1:])]
    if len(measures) == 1:
        return [_with_error(trial.scores[0])]
    return [
        f"{score.mean:.4f}" + ("" if measure.allows(score.mean) else " !")
        for measure, score in zip(measures, trial.scores, strict=True)
    ]


def _with_error(score: Score) -> str:
    error = score.standard_error
    return f"{score.mean:.4f}" + ("" if error is None else f" +- {error:.4f}")


def varying(trial: Trial, parameters: Sequence[str]) -> list[str]:
    """Write those parameters that vary."""
    return [f"{getattr(trial.action.params, name):.2g}" for name in parameters]


def references(chosen: Sequence[Reference]) -> str:
    """Write the names of references."""
    return ", ".join(reference.name for reference in chosen)


def trial_line(trial: Trial, study: Study) -> str:
    """Say how a trial went, and whether it is the best so far."""
    best, texts = study.best(), score_texts(trial, study.measures)
    if trial.scores and len(texts) > 1:
        texts = [f"{m.name} {text}" for m, text in zip(study.measures, texts, strict=True)]
    scores = "  ".join(filter(None, texts))
    line = f"trial {trial.index:3d}  round {trial.round}  {trial.source:<8} {scores}"
    if trial.reason is not None:
        return f"{line}: {trial.reason}"
    return line + ("  best so far" if best is not None and best.index == trial.index else "")


def heldout_lines(study: Study) -> list[str]:
    """Say how the best compares with the hand settings on seeds that the search never saw."""
    heldout, best = study.heldout, study.best()
    if heldout is None or best is None:
        return ["no result on fresh seeds yet"]
    compared = zip(
        study.measures,
        heldout.baseline_scores,
        heldout.best_scores,
        heldout.differences,
        strict=True,
    )
    return [
        f"on {len(hand.by_seed)} fresh seeds: "
        + (f"{measure.name}: " if len(study.measures) > 1 else "")
        + f"hand settings {_with_error(hand)}, best (trial {best.index}) {_with_error(found)}, "
        f"difference {_with_error(difference)} ({_aim(measure)})"
        for measure, hand, found, difference in compared
    ]


def missed_bounds(study: Study) -> list[str]:
    """Say which bounds even the best trial misses; nothing where it keeps them."""
    best = study.best()
    broken = [] if best is None else study.broken_bounds(best)
    return [f"no trial keeps all bounds; the best misses {' and '.join(broken)}"] if broken else []


def _aim(measure: Measure) -> str:
    return measure.bounds_text if measure.is_constraint else f"{measure.direction} is the aim"


def outcome(study: Study, seconds: float, page: Path) -> dict[str, Any]:
    """Return what a run came to, as a JSON object."""
    return {
        "study": str(study.folder.absolute()),
        **_scores(study),
        **_heldout(study.heldout),
        "trials": len(study.trials),
        "rounds": len(study.rounds),
        "seconds": round(seconds, 1),
        "report": str(page),
    }


def study_json(study: Study) -> dict[str, Any]:
    """Return all about a study, as a JSON object."""
    trials, assessment = study.trials, study.assessment
    return {
        "name": study.settings.name,
        "folder": str(study.folder),
        "prompt": study.settings.prompt_text,
        "prompts": list(study.settings.prompts),
        "objective": study.objective_name,
        "direction": study.direction,
        "planned": study.planned_trials,
        "finished": sum(trial.status is not TrialStatus.PENDING for trial in trials),
        **_scores(study),
        **_heldout(study.heldout),
        "best_expected": _expected(study),
        "advice": None if assessment.advice is None else asdict(assessment.advice),
        "best_trial": None if (best := study.best()) is None else best.index,
        "proposer": study.settings.proposer,
        "measures": [asdict(measure) for measure in study.measures],
        "pareto": [trial.index for trial in study.pareto()],
        "preferences": [asdict(preference) for preference in study.preferences],
        "effects": assessment.to_json()["effects"],
        "trials": [_trial(trial, study.measures) for trial in trials],
    }


def _scores(study: Study) -> dict[str, float | None]:
    found = {"baseline": study.baseline, "best": study.best()}
    return {k: t.score.mean if t is not None and t.score else None for k, t in found.items()}


def _expected(study: Study) -> dict[str, float] | None:
    """What the best trial is expected to score by the first objective, given all trials."""
    best, estimates = study.best(), study.assessment.estimates
    if best is None or best.index not in estimates:
        return None
    return asdict(estimates[best.index][0])


def _heldout(heldout: Heldout | None) -> dict[str, float | None]:
    """The standard error is that of the difference, seed by seed."""
    if heldout is None:
        return dict.fromkeys(("heldout_baseline", "heldout_best", "heldout_standard_error"))
    return {
        "heldout_baseline": heldout.baseline.mean,
        "heldout_best": heldout.best.mean,
        "heldout_standard_error": heldout.difference.standard_error,
    }


def _trial(trial: Trial, measures: Sequence[Measure]) -> dict[str, Any]:
    score = trial.score
    by_name = zip(measures, trial.scores, strict=bool(trial.scores))
    return {
        "trial": trial.index,
        "round": trial.round,
        "source": trial.source,
        "status": str(trial.status),
        "score": None if score is None else score.mean,
        "standard_error": None if score is None else score.standard_error,
        "values": None if score is None else list(score.values),
        "scores": {measure.name: one.mean for measure, one in by_name},
        "reason": trial.reason,
        "seconds": trial.seconds,
        "seeds": list(trial.seeds),
        "images": list(trial.images),
        "action": trial.action.to_json(),
    }
