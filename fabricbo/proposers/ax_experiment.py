"""The history of a study as an Ax experiment: the one file that knows Ax's data model.

The store of a study is the truth, the experiment a copy of it that every Ax analysis can work
on. Parameters that vary become range or choice parameters, each reference a choice of roles (with
their strengths, where these vary).
A reference that joins later is added with "unused" for the earlier trials, one that leaves the
pool is disabled at "unused".
"""

import builtins
import keyword
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count

from ax.core.arm import Arm
from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment
from ax.core.generator_run import GeneratorRun
from ax.core.metric import Metric
from ax.core.objective import Objective
from ax.core.optimization_config import MultiObjectiveOptimizationConfig, OptimizationConfig
from ax.core.outcome_constraint import OutcomeConstraint
from ax.core.parameter import (
    ChoiceParameter,
    FixedParameter,
    Parameter,
    ParameterType,
    RangeParameter,
)
from ax.core.parameter_constraint import ParameterConstraint
from ax.core.search_space import SearchSpace
from ax.utils.common.string_utils import SYMPY_GLOBALS

from fabricbo.protocols import History
from fabricbo.records import PARAMETER_NAMES, Action, Reference, Role, Trial, TrialStatus
from fabricbo.scores import Measure
from fabricbo.space import ActionSpace, Choice, Domain, Range, role_choice

METRIC = "score"
"""Name of the first objective in the experiment."""


class MirroredExperiment:
    """An Ax experiment that is kept equal to a history."""

    def __init__(self, history: History) -> None:
        """Copy a history into a new experiment."""
        self.history = replace(history, pool=(), trials=())
        self._enabled: set[str] = set()
        self.metrics = metric_names(history.measures)
        """One a measure."""
        self.experiment = Experiment(
            name="fabricbo",
            search_space=scalar_search_space(history.space),
            optimization_config=_optimization_config(history.measures, self.metrics),
            tracking_metrics=[
                Metric(name, lower_is_better=measure.direction == "minimize")
                for name, measure in zip(self.metrics, history.measures, strict=True)
            ],
        )
        self.extend(history)

    def precedes(self, history: History) -> bool:
        """Tell whether `extend` can bring the experiment to this history."""
        return (
            (self.history.space, self.history.measures) == (history.space, history.measures)
            and len(self.history.trials) <= len(history.trials)
            and all(map(_may_become, self.history.trials, history.trials))
        )

    def extend(self, history: History) -> None:
        """Take over the references, trials and scores that came since the last time."""
        if history.space.roles:
            self._match_pool(history)
        seen = self.history.trials
        for index in range(len(seen), len(history.trials)):
            self._start(history.trials[index], index)
        self._end(
            {
                index: trial
                for index, trial in enumerate(history.trials)
                if index >= len(seen) or not seen[index].status.is_over
            }
        )
        self.history = history

    def parameters(self, action: Action) -> dict[str, float | int | str]:
        """Return the values of an action's arm."""
        names = self.experiment.search_space.parameters
        used = (*action.liked, *action.disliked)
        roles = {role_name(r): role_choice(action, r) for r in used}
        scalars = {name: getattr(action.params, name) for name in PARAMETER_NAMES}
        return {
            name: _number(name, scalars[name])
            if name in scalars
            else roles.get(name, Role.UNUSED.value)
            for name in names
        }

    def _match_pool(self, history: History) -> None:
        """Add the references that joined, disable those that left."""
        used = {r for t in history.trials for r in (*t.action.liked, *t.action.disliked)}
        pool = [role_name(reference) for reference in history.pool]
        known = dict.fromkeys((*pool, *sorted(role_name(r) for r in used)))
        parameters = self.experiment.search_space.parameters
        joined = [
            name
            for name in known
            if name not in parameters or (name in pool and name not in self._enabled)
        ]
        if joined:
            # The method of the same name of `Experiment` warns about a status quo there is none of.
            choices = list(history.space.role_choices)
            added = [_role_parameter(name, choices) for name in joined]
            self.experiment.search_space.add_parameters(added)
        left = (self._enabled | set(joined)).difference(pool)
        if left:
            unused = dict.fromkeys(sorted(left), Role.UNUSED.value)
            self.experiment.disable_parameters_in_search_space(unused)
        self._enabled = set(pool)

    def _start(self, trial: Trial, index: int) -> None:
        arm = Arm(parameters=self.parameters(trial.action))
        run = GeneratorRun(arms=[arm], generation_node_name=trial.source)
        started = self.experiment.new_trial(run)
        if started.index != index:
            raise RuntimeError(f"the experiment gave trial {index} the index {started.index}")
        started.mark_running(no_runner_required=True)

    def _end(self, trials: dict[int, Trial]) -> None:
        """Attach scores and mark what is no longer pending."""
        done = {i: t for i, t in trials.items() if t.status is TrialStatus.DONE}
        rows = [row for index, trial in done.items() for row in self._rows(index, trial)]
        if rows:
            self.experiment.attach_data(Data(data_rows=rows))
        for index, trial in trials.items():
            if trial.status is TrialStatus.DONE:
                self.experiment.trials[index].mark_completed()
            elif trial.status is TrialStatus.FAILED:
                self.experiment.trials[index].mark_failed(reason=trial.reason)
            elif trial.status is TrialStatus.ABANDONED:
                self.experiment.trials[index].mark_abandoned(reason=trial.reason)

    def _rows(self, index: int, trial: Trial) -> list[DataRow]:
        """Return the scores of a trial, one a metric."""
        if len(trial.scores) != len(self.metrics):
            raise ValueError(f"trial {index} is done and has {len(trial.scores)} scores")
        return [
            DataRow(
                trial_index=index,
                arm_name=self.experiment.trials[index].arms[0].name,
                metric_name=metric,
                metric_signature=metric,
                mean=score.mean,
                se=math.nan if score.standard_error is None else score.standard_error,
                n=len(score.values),
            )
            for metric, score in zip(self.metrics, trial.scores, strict=True)
        ]


_RESERVED = frozenset({*SYMPY_GLOBALS, *keyword.kwlist, *dir(builtins)})
"""What SymPy, which reads Ax's expressions, takes for something else than a metric."""


def metric_names(measures: Sequence[Measure]) -> tuple[str, ...]:
    """Return a name for each measure that Ax's expressions can hold."""
    names = [METRIC]
    for measure in measures[1:]:
        plain = _plain(measure.name)
        numbered = (f"{plain}_{number}" for number in count(2))
        names.append(next(n for n in chain([plain], numbered) if n not in {*names, *_RESERVED}))
    return tuple(names)


def _plain(name: str) -> str:
    """Return a name of ASCII letters, digits and single underscores, a letter first."""
    # Ax reads two underscores as part of its spelling of dots and the like.
    plain = re.sub(r"[\W_]+", "_", name, flags=re.ASCII).strip("_")
    # And a bound is relative wherever these letters are, also within a name.
    plain = plain.replace("baseline", "base_line")
    return plain if re.match("[A-Za-z]", plain) else f"measure_{plain}".rstrip("_")


def role_name(reference: Reference) -> str:
    """Return the name of the parameter that holds a reference's role."""
    return f"role_{reference.id}"


def scalar_search_space(space: ActionSpace) -> SearchSpace:
    """Return the search space without references: all settings, those that stay as fixed."""
    parameters = [_scalar_parameter(space, name) for name in space.settings]
    window = [p for p in parameters if p.name in ("feedback_start", "feedback_end")]
    both_vary = not any(isinstance(p, FixedParameter) for p in window)
    constraints = [ParameterConstraint("feedback_start <= feedback_end")] if both_vary else []
    return SearchSpace(parameters, parameter_constraints=constraints)


def _scalar_parameter(space: ActionSpace, name: str) -> Parameter:
    domain = _valid_window(space, name)
    kind = ParameterType.INT if name == "denoising_steps" else ParameterType.FLOAT
    if isinstance(domain, Range):
        return RangeParameter(name, kind, domain.low, domain.high, log_scale=domain.log)
    if isinstance(domain, Choice):
        values = [_number(name, value) for value in domain.values]
        return ChoiceParameter(name, kind, values, is_ordered=True, sort_values=True)
    return FixedParameter(name, kind, _number(name, domain))


def _valid_window(space: ActionSpace, name: str) -> Domain | float:
    """Return what a setting may be; next to a fixed end the window's other end is cut there."""
    domain = space.domains.get(name)
    hand: float = getattr(space.hand, name)
    if domain is None:
        return hand
    if name == "feedback_start" and "feedback_end" not in space.domains:
        return _cut(domain, -math.inf, space.hand.feedback_end)
    if name == "feedback_end" and "feedback_start" not in space.domains:
        return _cut(domain, space.hand.feedback_start, math.inf)
    return domain


def _cut(domain: Domain, low: float, high: float) -> Domain | float:
    """Return the part of a domain within bounds; a number where one value is left."""
    if isinstance(domain, Choice):
        values = tuple(value for value in domain.values if low <= value <= high)
        return Choice(values) if len(values) > 1 else values[0]
    low, high = max(low, domain.low), min(high, domain.high)
    return Range(low, high, domain.log) if low < high else low


def _role_parameter(name: str, choices: list[str]) -> ChoiceParameter:
    return ChoiceParameter(
        name,
        ParameterType.STRING,
        choices,
        is_ordered=False,
        sort_values=False,
        backfill_value=Role.UNUSED.value,
    )


def _optimization_config(measures: Sequence[Measure], metrics: Sequence[str]) -> OptimizationConfig:
    """Ax maximizes what an expression says; commas separate several objectives."""
    named = list(zip(metrics, measures, strict=True))
    objectives = [(name, measure) for name, measure in named if not measure.is_constraint]
    signatures = {name: name for name in metrics}
    expression = ", ".join(
        name if measure.direction == "maximize" else f"-{name}" for name, measure in objectives
    )
    objective = Objective(expression, metric_name_to_signature=signatures)
    constraints = [
        OutcomeConstraint(f"{name} {relation} {bound}", metric_name_to_signature=signatures)
        for name, measure in named
        for relation, bound in _bounds(measure)
    ]
    if len(objectives) == 1:
        return OptimizationConfig(objective, constraints)
    thresholds = [
        OutcomeConstraint(
            f"{name} {'>=' if measure.direction == 'maximize' else '<='} {measure.reference_point}",
            metric_name_to_signature=signatures,
        )
        for name, measure in objectives
        if measure.reference_point is not None
    ]
    return MultiObjectiveOptimizationConfig(objective, constraints, thresholds)


def _bounds(measure: Measure) -> list[tuple[str, float]]:
    low, high = measure.at_least, measure.at_most
    if low is not None and low == high:
        # Ax knows no equality and refuses bounds with nothing between them.
        high += 1e-9 * max(1.0, abs(high))
    return [(op, bound) for op, bound in ((">=", low), ("<=", high)) if bound is not None]


def _number(name: str, value: float) -> float | int:
    return int(value) if name == "denoising_steps" else float(value)


def _may_become(seen: Trial, now: Trial) -> bool:
    """Tell whether a trial is the one seen before, or what has become of it."""
    if not seen.status.is_over:  # Ax knows no judgements: what waits for one is running
        return seen.action == now.action
    return (seen.action, seen.status, seen.scores) == (now.action, now.status, now.scores)
