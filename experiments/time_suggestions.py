"""Time suggestions of the surrogate by number of references and trials, and weigh the process.

    python -m experiments.time_suggestions               # up to 500 trials
    python -m experiments.time_suggestions --size 16,100 --pending 256
    python -m experiments.time_suggestions --smoke

Five scalars vary; every trial has four images. The first suggestion of a history copies it whole
and is left out, as it is in a study that runs.
"""

import argparse
import json
import resource
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from experiments.proposer_problem import pool_of
from experiments.stopwatch import own_seconds
from fabricbo.proposers import AxProposer, SobolProposer
from fabricbo.protocols import History
from fabricbo.records import Action, Trial, TrialStatus
from fabricbo.scores import Score
from fabricbo.space import ActionSpace, Range

SIZES = ((8, 30), (16, 30), (16, 100), (16, 200), (16, 500), (32, 100))
"""References and trials."""


def suggestion_seconds(
    references: int, trials: int, suggestions: int, pending: int = 0
) -> list[float]:
    """Return the times of suggestions after so many trials, others pending.

    As in a study with many workers, what is suggested is pending at the next suggestion, where
    anything is; else it is scored.
    """
    space = ActionSpace({**ActionSpace().domains, "guidance_scale": Range(1, 12)})
    history = History(space, pool_of(references), (), "maximize", 0)
    rng = np.random.default_rng(0)
    effects = dict(zip((r.id for r in history.pool), rng.normal(size=references), strict=True))
    vectors = {r.id: rng.normal(size=16) for r in history.pool}
    for _ in range(trials):
        history = _scored(history, SobolProposer().propose(history).action, effects, rng)
    for _ in range(pending):
        history = _begun(history, SobolProposer().propose(history).action)
    pictured = tuple(replace(r, image=r.id) for r in history.pool)  # type: ignore[arg-type]
    history = replace(history, pool=pictured)
    proposer = AxProposer(embed=lambda images: [vectors[str(image)] for image in images])
    seconds = []
    for _ in range(suggestions + 1):
        began = own_seconds()
        action = proposer.propose(history).action
        seconds.append(own_seconds() - began)
        history = _begun(history, action) if pending else _scored(history, action, effects, rng)
    return seconds[1:]


def _begun(history: History, action: Action) -> History:
    trial = Trial(len(history.trials), 1, action, "test", (1,), TrialStatus.RUNNING)
    return replace(history, trials=(*history.trials, trial))


def _scored(
    history: History, action: Action, effects: dict[str, float], rng: np.random.Generator
) -> History:
    params = action.params
    value = sum(effects[r.id] for r in action.liked) * params.max_weight * params.feedback_end
    value -= (params.guidance_scale - 6) ** 2 / 30
    score = Score(tuple(float(v) for v in value + 0.1 * rng.standard_normal(4)))
    trial = Trial(len(history.trials), 1, action, "test", (1,), TrialStatus.DONE, score)
    return replace(history, trials=(*history.trials, trial))


def main() -> None:
    """Parse the command line, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="one small size")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=_size, action="append", help="REFERENCES,TRIALS")
    parser.add_argument("--pending", type=int, default=0, help="trials without a score")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    medians = {}
    for references, trials in options.size or (((4, 10),) if options.smoke else SIZES):
        seconds = suggestion_seconds(references, trials, 5, options.pending)
        medians[f"{references} references, {trials} trials"] = statistics.median(seconds)
    if options.json:
        print(json.dumps({"seconds": medians, "peak_bytes": peak_bytes()}))
        return
    for size, median in medians.items():
        print(f"{size}: {median:.2f} s")
    print(f"most memory held by the process, imports included: {peak_bytes() / 1e6:.0f} MB")


def _size(text: str) -> tuple[int, int]:
    references, trials = text.split(",")
    return int(references), int(trials)


def peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():  # what `getrusage` says here begins with the peak of whoever started us
        lines = status.read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes


if __name__ == "__main__":
    main()
