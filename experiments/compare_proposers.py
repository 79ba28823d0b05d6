"""Compare proposers on problems whose optimum is known, trial by trial.

    python -m experiments.compare_proposers                        # synthetic, all proposers
    python -m experiments.compare_proposers --proposers fabricbo,sobol --trials 25 --seeds 10
    python -m experiments.compare_proposers --problem demo:style-only --seeds 3
    python -m experiments.compare_proposers --problem my_module:my_problem --json
    python -m experiments.compare_proposers --smoke

All proposers get the same number of trials, the same first six (the hand settings and five Sobol
points) and the same noise. Runs are kept in `--results`, and what is there is not played again, so
the comparison can be stopped and go on in pieces.

The instances of a synthetic problem are its seeds. Those below 100 are for tuning (`--tuning`);
what is reported uses seeds from 100 on, which nothing was tuned on.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from experiments.benchmark.demo import PREFIX, demo_problem
from experiments.benchmark.play import FIRST_TRIALS, Results, Run, play
from experiments.benchmark.problem import Problem, ProblemError, load_problem
from experiments.benchmark.several import NAMES as SEVERAL
from experiments.benchmark.several import several
from experiments.benchmark.summary import Summary, median_trials, summarise, wins
from experiments.benchmark.synthetic import SHAPES, synthetic
from fabricbo.proposers import PROPOSERS, ProposerError, check_proposer, make_proposer

FIRST_REPORTING_SEED = 100
OURS = "fabricbo"
NAMES = tuple(name for name in PROPOSERS if name not in ("hand", "ax"))
"""Compared where nothing else is asked for; stock Ax takes seconds a suggestion."""


@lru_cache(maxsize=1)
def find_problem(name: str, seed: int) -> Problem:
    """Return an instance of a synthetic problem, a task of the bundled checkpoint, or anybody's.

    Raises:
        ProblemError: there is none of that name.
    """
    if name in SHAPES:
        return synthetic(name, seed)
    if name in SEVERAL:
        return several(name, seed)
    return demo_problem(name) if name.startswith(PREFIX) else load_problem(name)


def played(options: argparse.Namespace) -> list[Run]:
    """Play all that is asked for and not known yet."""
    results, runs = Results(options.results), []
    for number in range(options.seeds):
        seed = number + (0 if options.tuning else FIRST_REPORTING_SEED)
        for name in options.problem:
            for proposer in options.proposers:
                key = (name, proposer, seed, options.trials)
                if key not in results and not options.kept:
                    results.add(_begin(*key))
                if key in results:
                    runs.append(results[key])
    return runs


def _begin(name: str, proposer: str, seed: int, trials: int) -> Run:
    problem = find_problem(name, seed)
    run = play(problem, proposer, make_proposer(proposer, problem.embed), trials, seed)
    print(f"{problem.name}, seed {seed}, {proposer}: {run.best[-1]:.3f}", file=sys.stderr)
    return run


def table(summaries: dict[str, dict[str, Summary]]) -> str:
    """Write summaries as a Markdown table."""
    lines = [
        "| problem | proposer | regret at the end | trials to 90 % | seeds there | a suggestion |",
        "|---|---|---|---|---|---|",
    ]
    for problem, by_proposer in summaries.items():
        for proposer, found in by_proposer.items():
            reached = [n for n in found.trials_to_share if n is not None]
            lines.append(
                f"| {problem} | {proposer} "
                f"| {found.regret[-1]:.2f} ± {found.standard_error[-1]:.2f} "
                f"| {median_trials(found):g} | {len(reached)} of {len(found.trials_to_share)} "
                f"| {found.median_seconds:.2f} s |"
            )
    return "\n".join(lines)


def duels(runs: Sequence[Run], proposers: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Return wins, ties and losses of ours against each of the others."""
    others = [name for name in proposers if name != OURS]
    return {name: wins(runs, OURS, name) for name in others} if OURS in proposers else {}


def duel_table(against: dict[str, tuple[int, int, int]]) -> str:
    """Write who needs fewer trials as a Markdown table."""
    lines = [f"| `{OURS}` against | fewer | as many | more |", "|---|---|---|---|"]
    for name, (won, tied, lost) in against.items():
        lines.append(f"| `{name}` | {won} | {tied} | {lost} |")
    return "\n".join(lines)


def figure(summaries: dict[str, dict[str, Summary]], file: Path) -> None:
    """Draw regret by trial with one standard error, a panel for each problem."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(4, len(summaries))
    rows = -(-len(summaries) // columns)
    plot, axes = pyplot.subplots(
        rows, columns, figsize=(3.6 * columns, 2.8 * rows), squeeze=False, sharey=True
    )
    for axis, (problem, by_proposer) in zip(axes.flat, summaries.items(), strict=False):
        for number, (proposer, found) in enumerate(by_proposer.items()):
            trials = range(1, len(found.regret) + 1)
            pairs = list(zip(found.regret, found.standard_error, strict=True))
            axis.plot(trials, found.regret, color=f"C{number}", label=proposer)
            low, high = [m - e for m, e in pairs], [m + e for m, e in pairs]
            axis.fill_between(trials, low, high, color=f"C{number}", alpha=0.2, linewidth=0)
        axis.set_title(problem, fontsize=9)
        axis.set_xlabel("trials")
    for axis in axes.flat[len(summaries) :]:
        axis.set_axis_off()
    axes[0, 0].set_ylabel("way to the optimum still to go")
    axes[0, 0].legend(fontsize=7)
    plot.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=110)


def main() -> None:
    """Parse the command line, play, print."""
    options = _parser().parse_args()
    options.problem = options.problem or list(SHAPES)
    torch.set_num_threads(1)
    if options.smoke:
        options.problem, options.seeds, options.trials = ["scalars-2", "pool-4"], 2, 10
        options.proposers = (OURS, "sobol", "random")
    if options.trials <= FIRST_TRIALS:
        raise SystemExit(f"--trials must be above the common first {FIRST_TRIALS}")
    try:
        for name in options.proposers:
            check_proposer(name)
        runs = played(options)
    except ProposerError as error:
        raise SystemExit(f"proposer {error}") from error
    except ProblemError as error:
        raise SystemExit(str(error)) from error
    if not runs:
        raise SystemExit(f"{options.results} keeps no run of what was asked for")
    summaries = summarise(runs)
    if options.figure:
        figure(summaries, options.figure)
    against = duels(runs, options.proposers)
    if options.json:
        print(json.dumps(as_json(summaries, against)))
        return
    print(table(summaries))
    if against:
        print(f"\n{duel_table(against)}")


def as_json(
    summaries: dict[str, dict[str, Summary]], against: dict[str, tuple[int, int, int]]
) -> dict[str, Any]:
    """Return one object: summaries by problem and proposer, and duels."""
    problems = {
        problem: {proposer: asdict(found) for proposer, found in by_proposer.items()}
        for problem, by_proposer in summaries.items()
    }
    return {"problems": problems, "wins_ties_losses": against}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--problem",
        action="append",
        help=f"{', '.join((*SHAPES, *SEVERAL))}, demo:TASK, module:name or "
        "file.py:name; may be repeated",
    )
    parser.add_argument(
        "--proposers",
        type=lambda text: text.split(","),
        default=NAMES,
        help=f"of {', '.join(PROPOSERS)}; default: {','.join(NAMES)}",
    )
    parser.add_argument("--trials", type=int, default=30, help="the hand settings included")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tuning", action="store_true", help="instances that may be tuned on")
    parser.add_argument("--results", type=Path, default=Path(".benchmark/runs.jsonl"))
    parser.add_argument("--kept", action="store_true", help="play nothing, tell what is kept")
    parser.add_argument("--figure", type=Path, help="draw regret by trial to this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="two problems, two seeds, ten trials")
    return parser


if __name__ == "__main__":
    main()
