"""What a page needs of a study, read once: each question to a study reads its store anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabricbo.assessment import Assessment
from fabricbo.best import broken_bounds
from fabricbo.records import Round, Trial
from fabricbo.study import Study


@dataclass(frozen=True)
class Known:
    """A study as it stood when it was read."""

    study: Study
    """For what is not below; what it says may be newer."""
    trials: Sequence[Trial]
    rounds: Sequence[Round]
    best: Trial | None
    assessment: Assessment
    broken: Mapping[int, Sequence[str]]
    """The bounds that each scored trial is expected to break, by its index; none that keep all."""
    judged: frozenset[int]
    """Indices of the trials that a person compared."""

    @property
    def any_keeps(self) -> bool:
        """Whether a trial that was measured keeps all bounds."""
        measured = [trial for trial in self.trials if trial.by_measure(self.study.measures)]
        return len(self.broken) < len(measured)

    @property
    def breaking(self) -> list[Trial]:
        """The trials that break a bound."""
        return [trial for trial in self.trials if trial.index in self.broken]


def read(study: Study) -> Known:
    """Read a study."""
    trials, assessment = study.trials, study.assessment
    broken = {
        trial.index: broken_bounds(trial, study.measures, assessment.estimates)
        for trial in trials
        if trial.by_measure(study.measures)
    }
    return Known(
        study=study,
        trials=trials,
        rounds=study.rounds,
        best=study.best(),
        assessment=assessment,
        broken={index: bounds for index, bounds in broken.items() if bounds},
        judged=frozenset(index for p in study.preferences for index in (p.better, p.worse)),
    )
