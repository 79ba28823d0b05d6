"""Studies and trials as lines of text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fabricbo.records import Reference, Score, Trial, TrialStatus
from fabricbo.study import Heldout, Study


def score_text(trial: Trial) -> str:
    """Write a trial's score with its standard error, or where it stands."""
    return str(trial.status) if trial.score is None else _with_error(trial.score)


def _with_error(score: Score) -> str:
    error = score.standard_error
    return f"{score.mean:.4f}" + ("" if error is None else f" +- {error:.4f}")


def varying(trial: Trial, parameters: Sequence[str]) -> list[str]:
    """Write those parameters that vary."""
    return [f"{getattr(trial.action.params, name):.2g}" for name in parameters]


def references(chosen: Sequence[Reference]) -> str:
    """Write the names of references."""
    return ", ".join(reference.name for reference in chosen)


def trial_line(trial: Trial, best: Trial | None) -> str:
    """Say how a trial went, and which is the best so far."""
    line = f"trial {trial.index:3d}  round {trial.round}  {trial.source:<8} {score_text(trial)}"
    if trial.reason is not None:
        return f"{line}: {trial.reason}"
    return line + ("  best so far" if best is not None and best.index == trial.index else "")


def heldout_line(study: Study) -> str:
    """Say how the best compares with the hand settings on seeds that the search never saw."""
    heldout, best = study.heldout, study.best()
    if heldout is None or best is None:
        return "no result on fresh seeds yet"
    return (
        f"on {len(heldout.best.values)} fresh seeds: "
        f"hand settings {_with_error(heldout.baseline)}, "
        f"best (trial {best.index}) {_with_error(heldout.best)}, "
        f"difference {_with_error(heldout.difference)} ({study.direction} is the aim)"
    )


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
    trials = study.trials
    return {
        "name": study.settings.name,
        "folder": str(study.folder),
        "prompt": study.settings.prompt,
        "objective": study.objective_name,
        "direction": study.direction,
        "planned": study.planned_trials,
        "finished": sum(trial.status is not TrialStatus.PENDING for trial in trials),
        **_scores(study),
        **_heldout(study.heldout),
        "best_expected": _expected(study),
        "advice": None if study.advice is None else asdict(study.advice),
        "best_trial": None if (best := study.best()) is None else best.index,
        "trials": [_trial(trial) for trial in trials],
    }


def _scores(study: Study) -> dict[str, float | None]:
    found = {"baseline": study.baseline, "best": study.best()}
    return {k: t.score.mean if t is not None and t.score else None for k, t in found.items()}


def _expected(study: Study) -> dict[str, float] | None:
    """What the best trial is expected to score, given all trials."""
    best, estimates = study.best(), study.estimates
    if best is None or best.index not in estimates:
        return None
    return asdict(estimates[best.index])


def _heldout(heldout: Heldout | None) -> dict[str, float | None]:
    """The standard error is that of the difference, seed by seed."""
    if heldout is None:
        return dict.fromkeys(("heldout_baseline", "heldout_best", "heldout_standard_error"))
    return {
        "heldout_baseline": heldout.baseline.mean,
        "heldout_best": heldout.best.mean,
        "heldout_standard_error": heldout.difference.standard_error,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    score = trial.score
    return {
        "trial": trial.index,
        "round": trial.round,
        "source": trial.source,
        "status": str(trial.status),
        "score": None if score is None else score.mean,
        "standard_error": None if score is None else score.standard_error,
        "values": None if score is None else list(score.values),
        "reason": trial.reason,
        "seconds": trial.seconds,
        "seeds": list(trial.seeds),
        "images": list(trial.images),
        "action": trial.action.to_json(),
    }
