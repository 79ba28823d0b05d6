"""Compare proposers on a synthetic surface, and time their suggestions.

    python -m experiments.compare_proposers                 # the tables of docs/proposers.md
    python -m experiments.compare_proposers --smoke         # a look at whether it runs

The priors of the surrogate were chosen on other instances of this surface (seeds below 100).
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from experiments.proposer_problem import Problem, pool_of
from fabricbo.proposers import AxProposer, RandomProposer, SobolProposer
from fabricbo.protocols import History
from fabricbo.records import Action, Score, Trial, TrialStatus
from fabricbo.space import ActionSpace, Range

PROPOSERS = {"ax": AxProposer, "sobol": SobolProposer, "random": RandomProposer}


def values_by_trial(name: str, seeds: range, trials: int) -> np.ndarray:
    """Return the best value without noise so far, `seeds trials`."""
    return np.array([Problem(seed).play(PROPOSERS[name](), trials) for seed in seeds])


def suggestion_seconds(references: int, trials: int, suggestions: int) -> float:
    """Return the median time of a suggestion after so many trials, four images each."""
    space = ActionSpace({**ActionSpace().domains, "guidance_scale": Range(1, 12)})
    history = History(space, pool_of(references), (), "maximize", 0)
    rng = np.random.default_rng(0)
    effects = dict(zip((r.id for r in history.pool), rng.normal(size=references), strict=True))
    for _ in range(trials):
        history = _scored(history, SobolProposer().propose(history).action, effects, rng)
    proposer, seconds = AxProposer(), []
    for _ in range(suggestions + 1):  # the first one copies the whole history and is left out
        began = time.perf_counter()
        action = proposer.propose(history).action
        seconds.append(time.perf_counter() - began)
        history = _scored(history, action, effects, rng)
    return statistics.median(seconds[1:])


def _scored(
    history: History, action: Action, effects: dict[str, float], rng: np.random.Generator
) -> History:
    params = action.params
    value = sum(effects[r.id] for r in action.liked) * params.max_weight * params.feedback_end
    value -= (params.guidance_scale - 6) ** 2 / 30
    score = Score(tuple(float(v) for v in value + 0.1 * rng.standard_normal(4)))
    trial = Trial(len(history.trials), 1, action, "test", (1,), TrialStatus.DONE, score)
    return replace(history, trials=(*history.trials, trial))


def compare(seeds: range, trials: int) -> dict[str, Any]:
    """Play every proposer on every instance."""
    curves = {name: values_by_trial(name, seeds, trials) for name in PROPOSERS}
    last = {name: curve[:, -1] for name, curve in curves.items()}
    return {
        "seeds": list(seeds),
        "hand": float(curves["ax"][:, 0].mean()),
        "mean": {name: curve.mean(0).tolist() for name, curve in curves.items()},
        "standard_error": {n: float(v.std(ddof=1) / len(v) ** 0.5) for n, v in last.items()},
        "ax_ahead_of_sobol": int((last["ax"] > last["sobol"]).sum()),
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="two instances, ten trials")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds, trials = (range(100, 102), 10) if options.smoke else (range(100, 120), 25)
    sizes = [(4, 10)] if options.smoke else [(8, 30), (16, 100), (16, 200)]
    result = compare(seeds, trials)
    result["suggestion_seconds"] = {
        f"{references} references, {after} trials": suggestion_seconds(references, after, 5)
        for references, after in sizes
    }
    if options.json:
        print(json.dumps(result))
        return
    for name, mean in result["mean"].items():
        shown = [f"{n}: {mean[n - 1]:.2f}" for n in (12, 18, 25) if n <= trials]
        print(f"{name:8}", *shown, f"last: {mean[-1]:.2f} +- {result['standard_error'][name]:.2f}")
    print(f"hand settings {result['hand']:.2f}; ax ahead of sobol on", end=" ")
    print(f"{result['ax_ahead_of_sobol']} of {len(seeds)} instances after {trials} trials")
    for size, seconds in result["suggestion_seconds"].items():
        print(f"a suggestion with {size}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
