"""What `list`, `show`, `demo`, `run` and `resume` say of studies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from fabricbo.assessment import Advice, Estimate, ReferenceEffect
from fabricbo.cli.answers.answer import Answer, Told, command
from fabricbo.records import FabricParams, Trial, TrialStatus
from fabricbo.scores import Direction, Measure, Preference
from fabricbo.study import Study
from fabricbo.study.forked_from import ForkedFrom
from fabricbo.study.heldout import Comparison


class Compared(Told):
    """Hand settings and best by one measure, on what the search never saw."""

    name: str
    direction: Direction
    searched: bool
    """Whether the search went by it."""
    baseline: float
    best: float
    standard_error: float | None
    """Of the difference, seed by seed."""


class Results(Told):
    """What a study came to, by its first measure; null where nothing is known yet."""

    baseline: float | None
    """Mean score of the hand settings."""
    best: float | None
    """Mean score of the best trial, on the images that made it the best."""
    best_trial: int | None
    heldout_baseline: float | None
    """Of the hand settings, on seeds that the search never saw."""
    heldout_best: float | None
    heldout_standard_error: float | None
    """Of the difference on those seeds."""
    reported: tuple[Compared, ...]
    """By objectives that the search never saw."""
    heldout_prompts: tuple[Compared, ...]
    """On prompts that the search never saw."""


class StudyFacts(Results):
    """A study without its trials."""

    name: str
    folder: str
    prompt: str
    prompts: tuple[str, ...]
    objective: str
    direction: Direction
    planned: int
    """Trials in all."""
    finished: int
    """Trials that need no more work but, perhaps, a person's judgement."""
    best_expected: Estimate | None
    """What the best trial is expected to score by the first objective, given all trials."""
    advice: Advice | None
    """Whether it is worth going on, where the proposer can say."""
    proposer: str
    forked_from: ForkedFrom | None
    measures: tuple[Measure, ...]
    pareto: tuple[int, ...]
    """Trials that none other beats in all objectives."""
    preferences: tuple[Preference, ...]


class Unreadable(Told):
    """A study that cannot be read; it hides no other."""

    folder: str
    error: str


class Studies(Answer):
    """`fabricbo list`: the studies of a folder."""

    format: Literal[1] = 1
    studies: tuple[StudyFacts, ...]
    broken: tuple[Unreadable, ...] = ()


class ActionTold(Told):
    """What a trial drew with."""

    params: FabricParams
    liked: tuple[str, ...]
    """Identities of references."""
    disliked: tuple[str, ...]
    strengths: dict[str, float]
    """Of references that have another one than 1, by their identity."""


class TrialTold(Told):
    """A trial."""

    trial: int
    round: int
    source: str
    """Who proposed it: `hand`, `sobol`, `bo`, ..."""
    status: TrialStatus
    score: float | None
    """Mean score by the first measure."""
    standard_error: float | None
    values: tuple[float, ...] | None
    """One an image, or one a batch."""
    scores: dict[str, float]
    """Mean scores by the names of all that objectives measure."""
    reason: str | None
    """Why it failed."""
    seconds: float | None
    seeds: tuple[int, ...]
    images: tuple[str, ...]
    """Identities in the image store."""
    action: ActionTold


class ShownStudy(StudyFacts, Answer):
    """`fabricbo show`: all about a study."""

    format: Literal[1] = 1
    effects: tuple[ReferenceEffect, ...]
    """What each reference does at the best settings."""
    trials: tuple[TrialTold, ...]
    analyses: str | None = None
    """Path of the page of Ax's analyses, where `--analyses` has just made it."""


class Outcome(Results, Answer):
    """`fabricbo demo`, `run` and `resume`: what a run came to."""

    format: Literal[1] = 1
    study: str
    """Its folder."""
    trials: int
    rounds: int
    seconds: float
    report: str
    """Path of the page."""
    best_images: tuple[str, ...]
    """Where the images of the best trial lie, in the order of seeds, prompt after prompt."""


def brief(study: Study) -> StudyFacts:
    """Return a study without its trials."""
    return StudyFacts(**_facts(study))


def shown(study: Study, analyses: Path | None = None) -> ShownStudy:
    """Return all about a study, and where Ax's analyses of it are."""
    facts = _facts(study)
    after = "report" if facts["finished"] >= facts["planned"] else "resume"
    return ShownStudy(
        next=(command(after, study.folder),),
        effects=study.assessment.effects,
        trials=tuple(_trial(trial, study.measures) for trial in study.trials),
        analyses=None if analyses is None else str(analyses),
        **facts,
    )


def outcome(study: Study, seconds: float, page: Path) -> Outcome:
    """Return what a run came to."""
    best = study.best()
    identities = () if best is None else best.images
    return Outcome(
        next=(command("show", study.folder),),
        study=str(study.folder.absolute()),
        trials=len(study.trials),
        rounds=len(study.rounds),
        seconds=round(seconds, 1),
        report=str(page),
        best_images=tuple(study.images.text(identity) for identity in identities),
        **_results(study),
    )


def _facts(study: Study) -> dict[str, Any]:
    settings, best = study.settings, study.best()
    estimates = study.assessment.estimates
    known = best is not None and best.index in estimates
    return {
        **_results(study),
        "name": settings.name,
        "folder": str(study.folder),
        "prompt": settings.prompt_text,
        "prompts": settings.prompts,
        "objective": study.objective_name,
        "direction": study.direction,
        "planned": study.planned_trials,
        "finished": sum(not trial.status.is_pending for trial in study.trials),
        "best_expected": estimates[best.index][0] if best is not None and known else None,
        "advice": study.assessment.advice,
        "proposer": settings.proposer,
        "forked_from": study.forked_from,
        "measures": study.measures,
        "pareto": tuple(trial.index for trial in study.pareto()),
        "preferences": tuple(study.preferences),
    }


def _results(study: Study) -> dict[str, Any]:
    best, heldout, other = study.best(), study.heldout, study.heldout_prompts
    first = None if heldout is None else heldout.first
    return {
        "baseline": _mean(study.baseline),
        "best": _mean(best),
        "best_trial": None if best is None else best.index,
        "heldout_baseline": None if first is None else first.baseline.mean,
        "heldout_best": None if first is None else first.best.mean,
        "heldout_standard_error": None if first is None else first.difference.standard_error,
        "reported": () if heldout is None else _all_compared(heldout.reported),
        "heldout_prompts": () if other is None else _all_compared(other.comparisons),
    }


def _mean(trial: Trial | None) -> float | None:
    return None if trial is None or trial.score is None else trial.score.mean


def _all_compared(several: Sequence[Comparison]) -> tuple[Compared, ...]:
    return tuple(
        Compared(
            name=one.measure.name,
            direction=one.measure.direction,
            searched=one.searched,
            baseline=one.baseline.mean,
            best=one.best.mean,
            standard_error=one.difference.standard_error,
        )
        for one in several
    )


def _trial(trial: Trial, measures: Sequence[Measure]) -> TrialTold:
    score = trial.score
    return TrialTold(
        trial=trial.index,
        round=trial.round,
        source=trial.source,
        status=trial.status,
        score=None if score is None else score.mean,
        standard_error=None if score is None else score.standard_error,
        values=None if score is None else score.values,
        scores={measure.name: one.mean for measure, one in trial.by_measure(measures)},
        reason=trial.reason,
        seconds=trial.seconds,
        seeds=trial.seeds,
        images=trial.images,
        action=ActionTold(
            params=trial.action.params,
            liked=tuple(reference.id for reference in trial.action.liked),
            disliked=tuple(reference.id for reference in trial.action.disliked),
            strengths=dict(trial.action.strengths),
        ),
    )
