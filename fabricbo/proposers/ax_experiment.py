"""The history of a study as an Ax experiment: the one file that knows Ax's data model.

The store of a study is the truth, the experiment a copy of it that every Ax analysis can work
on. Parameters that vary become range or choice parameters, each reference a choice of roles.
A reference that joins later is added with "unused" for the earlier trials, one that leaves the
pool is disabled at "unused".
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from ax.core.arm import Arm
from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment
from ax.core.generator_run import GeneratorRun
from ax.core.metric import Metric
from ax.core.objective import Objective
from ax.core.optimization_config import OptimizationConfig
from ax.core.parameter import (
    ChoiceParameter,
    FixedParameter,
    Parameter,
    ParameterType,
    RangeParameter,
)
from ax.core.parameter_constraint import ParameterConstraint
from ax.core.search_space import SearchSpace

from fabricbo.protocols import History
from fabricbo.records import PARAMETER_NAMES, Action, Direction, Reference, Role, Trial, TrialStatus
from fabricbo.space import ActionSpace, Choice, Domain, Range

METRIC = "score"
"""Name of the objective in the experiment."""


class MirroredExperiment:
    """An Ax experiment that is kept equal to a history."""

    def __init__(self, history: History) -> None:
        """Copy a history into a new experiment."""
        self.history = replace(history, pool=(), trials=())
        self._enabled: set[str] = set()
        self.experiment = Experiment(
            name="fabricbo",
            search_space=scalar_search_space(history.space),
            optimization_config=_optimization_config(history.direction),
            tracking_metrics=[Metric(METRIC, lower_is_better=history.direction == "minimize")],
        )
        self.extend(history)

    def precedes(self, history: History) -> bool:
        """Tell whether `extend` can bring the experiment to this history."""
        return (
            (self.history.space, self.history.direction) == (history.space, history.direction)
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
                if index >= len(seen) or seen[index].status is TrialStatus.PENDING
            }
        )
        self.history = history

    def parameters(self, action: Action) -> dict[str, float | int | str]:
        """Return the values of an action's arm."""
        names = self.experiment.search_space.parameters
        roles = {role_name(r): role.value for role in Role for r in _with_role(action, role)}
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
            self.experiment.search_space.add_parameters([_role_parameter(n) for n in joined])
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
        rows = [self._row(index, trial) for index, trial in done.items()]
        if rows:
            self.experiment.attach_data(Data(data_rows=rows))
        for index, trial in trials.items():
            if trial.status is TrialStatus.DONE:
                self.experiment.trials[index].mark_completed()
            elif trial.status is TrialStatus.FAILED:
                self.experiment.trials[index].mark_failed(reason=trial.reason)

    def _row(self, index: int, trial: Trial) -> DataRow:
        if trial.score is None:
            raise ValueError(f"trial {index} is done and has no score")
        error = trial.score.standard_error
        return DataRow(
            trial_index=index,
            arm_name=self.experiment.trials[index].arms[0].name,
            metric_name=METRIC,
            metric_signature=METRIC,
            mean=trial.score.mean,
            se=math.nan if error is None else error,
            n=len(trial.score.values),
        )


def role_name(reference: Reference) -> str:
    """Return the name of the parameter that holds a reference's role."""
    return f"role_{reference.id}"


def scalar_search_space(space: ActionSpace) -> SearchSpace:
    """Return the search space without references: all settings, those that stay as fixed."""
    parameters = [_scalar_parameter(space, name) for name in PARAMETER_NAMES]
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


def _role_parameter(name: str) -> ChoiceParameter:
    return ChoiceParameter(
        name,
        ParameterType.STRING,
        [role.value for role in Role],
        is_ordered=False,
        sort_values=False,
        backfill_value=Role.UNUSED.value,
    )


def _optimization_config(direction: Direction) -> OptimizationConfig:
    """Ax maximizes an expression."""
    expression = METRIC if direction == "maximize" else f"-{METRIC}"
    return OptimizationConfig(Objective(expression, metric_name_to_signature={METRIC: METRIC}))


def _number(name: str, value: float) -> float | int:
    return int(value) if name == "denoising_steps" else float(value)


def _with_role(action: Action, role: Role) -> Sequence[Reference]:
    return {Role.LIKED: action.liked, Role.DISLIKED: action.disliked}.get(role, ())


def _may_become(seen: Trial, now: Trial) -> bool:
    """Tell whether a trial is the one seen before, or what has become of it."""
    if seen.status is TrialStatus.PENDING:
        return seen.action == now.action
    return (seen.action, seen.status, seen.score) == (now.action, now.status, now.score)
