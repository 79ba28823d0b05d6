"""Is the advice on whether to go on right as often as it says?

    python -m experiments.calibrate_advice              # reporting instances: a reliability table
    python -m experiments.calibrate_advice --tuning     # tuning instances, and what fits them
    python -m experiments.calibrate_advice --judged     # where a simulated person judges
    python -m experiments.calibrate_advice --smoke

Studies of 30 trials on synthetic problems, asked for advice after 10, 15, 20, 25 and 30; with
`--judged` studies of 60 comparisons, asked after 12, 24, 36, 48 and 60. The advice was right where
the true value of the best trial is within the tolerance of the optimum. With `--tuning` the slope
and offset are printed that make the probabilities right on the tuning instances (the constants of
`fabricbo.proposers.advice`); the reporting ones were not used for it.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from experiments.benchmark.play import play
from experiments.benchmark.synthetic import synthetic
from experiments.compare_proposers import FIRST_REPORTING_SEED
from experiments.kept_lines import append_line, read_rows
from experiments.raters.caricature_world import caricature_world
from experiments.raters.people import PEOPLE, Person
from experiments.raters.rating import rate
from experiments.raters.ways import WAYS
from fabricbo.proposers import AxProposer
from fabricbo.proposers.advice import JUDGED, SCORED, Doubt, raw_logit
from fabricbo.protocols import History
from fabricbo.study import Study

PROBLEMS = ("scalars-4", "pool-4", "pool-8", "pool-8-noisy", "pool-16", "growing-12")
JUDGED_PROBLEMS = ("scalars-4", "pool-4", "pool-8", "pool-16")
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
    problem, asked = synthetic(name, seed), list[Asked]()
    proposer = AxProposer(embed=problem.embed)

    def look(history: History) -> None:
        done = len(history.trials)
        if done not in ASKED_AFTER or problem.value is None or problem.optimum is None:
            return
        found = proposer.assess(history)
        advice, estimates = found.advice, found.estimates
        best = max(estimates, key=lambda number: estimates[number][0].mean)
        if advice is not None:
            gap = problem.optimum - problem.value(history.trials[best].action)
            asked.append(Asked(name, seed, done, advice.probability, gap <= advice.tolerance))

    play(problem, "fabricbo", proposer, max(ASKED_AFTER), seed, look)
    return asked


def ask_judged(name: str, seed: int) -> list[Asked]:
    """Have somebody judge a study and ask for advice now and then."""
    world, person = caricature_world(name, seed), Person(PEOPLE["careful"], seed)

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


def gathered(
    file: Path, problems: tuple[str, ...], seeds: range, judged: bool = False
) -> list[Asked]:
    """Ask on every instance; those that the file has are not played again."""
    known = [Asked(**row) for row in read_rows(file)]
    asked = []
    for name in problems:
        for seed in seeds:
            found = [a for a in known if (a.problem, a.seed) == (name, seed)]
            if not found:
                found = ask_judged(name, seed) if judged else ask(name, seed)
                append_line(file, "\n".join(json.dumps(asdict(a)) for a in found))
            asked += found
    return asked


def main() -> None:
    """Parse the command line, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--judged", action="store_true", help="a simulated person judges")
    parser.add_argument("--tuning", action="store_true", help="tuning instances, and fit")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--results", type=Path, help="default: .benchmark/advice-....jsonl")
    parser.add_argument("--smoke", action="store_true", help="one instance")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first = 0 if options.tuning else FIRST_REPORTING_SEED
    name = ("judged-" if options.judged else "") + ("tuning" if options.tuning else "reporting")
    file = options.results or Path(f".benchmark/advice-{name}.jsonl")
    problems = JUDGED_PROBLEMS if options.judged else PROBLEMS
    problems, count = (problems[:1], 1) if options.smoke else (problems, options.seeds)
    asked = gathered(file, problems, range(first, first + count), options.judged)
    print("| said | pieces of advice | mean said | right |\n|---|---|---|---|")
    for bin_, count, said, right in reliability(asked):
        print(f"| {bin_} | {count} | {said:.2f} | {right:.2f} |")
    brier = np.mean([(a.probability - a.right) ** 2 for a in asked])
    print(f"Brier score {brier:.3f}; always saying the share that is right gives", end=" ")
    share = np.mean([a.right for a in asked])
    print(f"{share * (1 - share):.3f}")
    if options.tuning:
        print(
            "slope {:.2f}, offset {:.2f}".format(
                *fitted(asked, JUDGED if options.judged else SCORED)
            )
        )


if __name__ == "__main__":
    main()
