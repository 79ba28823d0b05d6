"""Is the advice on whether to go on right as often as it says?

    python -m experiments.calibrate_advice                 # reporting instances: a table
    python -m experiments.calibrate_advice --tuning        # tuning instances, and what fits them
    python -m experiments.calibrate_advice --kind bounded  # with something to keep
    python -m experiments.calibrate_advice --kind front    # two objectives
    python -m experiments.calibrate_advice --kind judged   # a simulated person judges
    python -m experiments.calibrate_advice --kind judged-bounded  # with something to keep
    python -m experiments.calibrate_advice --smoke

Studies of 30 trials on synthetic problems, asked for advice after 10, 15, 20, 25 and 30; of kind
`judged...` studies of 60 comparisons, asked after 12, 24, 36, 48 and 60. The advice was right where
the true value of the best trial is within the tolerance of the optimum; of kind `front` where the
trials' front covers all but the tolerance of what can be covered. With `--tuning` the slope and
offset are printed that make the probabilities right on the tuning instances (the constants of
`fabricbo.proposers.advice`); the reporting ones were not used for it.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from experiments.benchmark.play import play
from experiments.benchmark.problem import Problem
from experiments.benchmark.quality import Values, as_values, quality
from experiments.compare_proposers import FIRST_REPORTING_SEED, find_problem
from experiments.kept_lines import append_line, read_rows
from experiments.raters.caricature_world import bounded_world, caricature_world
from experiments.raters.people import PEOPLE, Person
from experiments.raters.rating import rate
from experiments.raters.ways import WAYS
from experiments.raters.world import World
from fabricbo.assessment import Advice
from fabricbo.best import best
from fabricbo.proposers import AxProposer
from fabricbo.proposers.advice import (
    BOUNDED,
    FRONT,
    JUDGED,
    JUDGED_BOUNDED,
    SCORED,
    Doubt,
    raw_logit,
)
from fabricbo.protocols import History
from fabricbo.records import Trial
from fabricbo.study import Study

ASKED_AFTER = (10, 15, 20, 25, 30)
ASKED_AFTER_JUDGEMENTS = range(12, 61, 12)
BINS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))


@dataclass(frozen=True)
class Asked:
    """One piece of advice, and whether it was right."""

    problem: str
    seed: int
    after: int
    """Trials, or judgements."""
    probability: float
    right: bool


def ask(name: str, seed: int) -> list[Asked]:
    """Play a study and ask for advice now and then."""
    problem, asked = find_problem(name, seed), list[Asked]()
    proposer = AxProposer(embed=problem.embed)

    def look(history: History) -> None:
        done = len(history.trials)
        if done not in ASKED_AFTER:
            return
        found = proposer.assess(history)
        chosen = best(history.trials, history.measures, found.estimates)
        if found.advice is not None and chosen is not None:
            right = _right(problem, history, chosen, found.advice)
            asked.append(Asked(name, seed, done, found.advice.probability, right))

    play(problem, "fabricbo", proposer, max(ASKED_AFTER), seed, look)
    return asked


def _right(problem: Problem, history: History, chosen: Trial, advice: Advice) -> bool:
    """Tell whether the best trial, or the front, leaves no more to gain than the tolerance."""
    if problem.value is None or problem.optimum is None:
        raise ValueError(f"nobody knows the optimum of {problem.name}")
    if len(history.objectives) > 1:
        covered = quality(problem.measures, [_values(problem, trial) for trial in history.trials])
        return covered >= (1 - advice.tolerance) * problem.optimum
    return problem.optimum - _values(problem, chosen)[0] <= advice.tolerance


def _values(problem: Problem, trial: Trial) -> Values:
    return as_values(0.0 if problem.value is None else problem.value(trial.action))


def ask_judged(
    name: str, seed: int, make: Callable[[str, int], World] = caricature_world
) -> list[Asked]:
    """Have somebody judge a study and ask for advice now and then."""
    world, person = make(name, seed), Person(PEOPLE["careful"], seed)

    def look(study: Study) -> Asked | None:
        study.assess()
        best, advice, trials = study.best(), study.assessment.advice, study.trials
        if best is None or advice is None:
            return None
        judged = [world.value(trials[index].action) for index in study.assessment.utilities]
        tolerance = advice.tolerance * (max(judged) - min(judged))
        right = world.ideal - world.value(best.action) <= tolerance
        return Asked(name, seed, person.judgements, advice.probability, right)

    asked = rate(world, WAYS["fabricbo"], person, ASKED_AFTER_JUDGEMENTS, look)
    return [one for one in asked if one is not None]


@dataclass(frozen=True)
class Kind:
    """A kind of study that has a map of its own from shares of draws to probabilities."""

    problems: tuple[str, ...]
    doubt: Doubt
    ask: Callable[[str, int], list[Asked]]


_SEVERAL = ("scalars-4", "pool-4", "pool-8", "pool-8-noisy")
KINDS = {
    "scored": Kind((*_SEVERAL, "pool-16", "growing-12"), SCORED, ask),
    "bounded": Kind(tuple(f"bounded-{shape}" for shape in _SEVERAL), BOUNDED, ask),
    "front": Kind(tuple(f"front-{shape}" for shape in _SEVERAL), FRONT, ask),
    "judged": Kind(("scalars-4", "pool-4", "pool-8", "pool-16"), JUDGED, ask_judged),
    "judged-bounded": Kind(
        ("scalars-4", "pool-4", "pool-8", "pool-16"),
        JUDGED_BOUNDED,
        partial(ask_judged, make=bounded_world),
    ),
}


def reliability(asked: list[Asked]) -> list[tuple[str, int, float, float]]:
    """Return for each bin of probabilities: its name, how many, the mean said, the share right."""
    rows = []
    for low, high in BINS:
        inside = [a for a in asked if low <= a.probability < high]
        if inside:
            said = sum(a.probability for a in inside) / len(inside)
            right = sum(a.right for a in inside) / len(inside)
            rows.append((f"{low:.0%} to {high:.0%}", len(inside), said, right))
    return rows


def fitted(asked: list[Asked], doubt: Doubt) -> tuple[float, float]:
    """Return slope and offset of the logit that make the likelihood of what was right largest."""
    x = torch.tensor([raw_logit(a.probability, doubt) for a in asked], dtype=torch.float64)
    y = torch.tensor([float(a.right) for a in asked], dtype=torch.float64)
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = parameters[0] * x + parameters[1]
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    slope, offset = parameters.tolist()
    return slope, offset


def gathered(file: Path, kind: Kind, seeds: range) -> list[Asked]:
    """Ask on every instance; those that the file has are not played again."""
    known = [Asked(**row) for row in read_rows(file)]
    asked = []
    for name in kind.problems:
        for seed in seeds:
            found = [a for a in known if (a.problem, a.seed) == (name, seed)]
            if not found:
                found = kind.ask(name, seed)
                append_line(file, "\n".join(json.dumps(asdict(a)) for a in found))
            asked += found
    return asked


def main() -> None:
    """Parse the command line, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=KINDS, default="scored", help="of studies")
    parser.add_argument("--tuning", action="store_true", help="tuning instances, and fit")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--results", type=Path, help="default: .benchmark/advice-....jsonl")
    parser.add_argument("--smoke", action="store_true", help="one instance")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kind, first = KINDS[options.kind], 0 if options.tuning else FIRST_REPORTING_SEED
    name = f"{options.kind}-{'tuning' if options.tuning else 'reporting'}"
    file = options.results or Path(f".benchmark/advice-{name}.jsonl")
    if options.smoke:
        kind, options.seeds = replace(kind, problems=kind.problems[:1]), 1
    asked = gathered(file, kind, range(first, first + options.seeds))
    print("| said | pieces of advice | mean said | right |\n|---|---|---|---|")
    for bin_, count, said, right in reliability(asked):
        print(f"| {bin_} | {count} | {said:.2f} | {right:.2f} |")
    brier = np.mean([(a.probability - a.right) ** 2 for a in asked])
    print(f"Brier score {brier:.3f}; always saying the share that is right gives", end=" ")
    share = np.mean([a.right for a in asked])
    print(f"{share * (1 - share):.3f}")
    if options.tuning:
        print("slope {:.2f}, offset {:.2f}".format(*fitted(asked, kind.doubt)))


if __name__ == "__main__":
    main()
