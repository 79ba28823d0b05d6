"""Where the tasks of the bundled checkpoint have their optimum.

    python -m experiments.demo_tasks              # about 15 minutes, goes on where it stopped
    python -m experiments.demo_tasks --smoke      # two points

For each of `fabricbo.demo.tasks`: the objective over feedback weight and end of the window, with
the helpful references liked and the others unused; and, as under the hand settings, with all
liked. Seeds are common to all points, so differences come from the settings.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.heatmaps import Grid, draw, scan
from fabricbo.compose import named_objectives
from fabricbo.demo.tasks import TASKS, DemoTask
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline
from fabricbo.scoring import evaluate
from fabricbo.study import check_settings
from fabricbo.study.pool import read_pool

SEEDS = range(4_000_000, 4_000_012)
CHOICES = {"helpful": "helpful references liked", "all": "all references liked"}


def scorer_of(task: DemoTask, sampler: FabricSampler) -> Callable[[Action], dict[str, float]]:
    """Return a function from an action to the mean score over the seeds and its standard error."""
    (objective,) = named_objectives(check_settings({"name": task.name, **task.settings()})).values()

    def score(action: Action) -> dict[str, float]:
        result = evaluate(objective, sampler(action, task.prompt, SEEDS), task.prompt)
        return {"score": result.mean, "standard_error": result.standard_error or 0.0}

    return score


def scan_task(
    task: DemoTask, sampler: FabricSampler, file: Path, *, smoke: bool
) -> dict[str, Grid]:
    """Measure both choices of references at every weight and end."""
    pool, score = read_pool(task.pool_folder), scorer_of(task, sampler)
    chosen = {"helpful": tuple(r for r in pool if r.name in task.helpful), "all": pool}

    def measure(liked: Any) -> Callable[[FabricParams], dict[str, float]]:
        return lambda params: score(Action(params, liked))

    return {
        name: scan(file, f"{task.name}, {name} liked", measure(liked), smoke=smoke)
        for name, liked in chosen.items()
    }


def figure(grids: dict[str, dict[str, Grid]], file: Path) -> None:
    """Draw the heat maps: a row for each choice of references."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    plot, axes = pyplot.subplots(2, len(grids), figsize=(3 * len(grids), 5.4), squeeze=False)
    for column, (task, by_choice) in zip(axes.T, grids.items(), strict=True):
        values = [v["score"] for grid in by_choice.values() for v in grid.values()]
        for axis, (choice, title) in zip(column, CHOICES.items(), strict=True):
            draw(axis, by_choice[choice], "score", f"{task}:\n{title}", (min(values), max(values)))
        column[-1].set_xlabel("feedback weight")
    for row in axes:
        row[0].set_ylabel("end of the window")
    plot.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=100)


def main() -> None:
    """Parse the command line, measure, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="two points")
    parser.add_argument("--results", type=Path, default=Path(".demo_training/tasks.json"))
    parser.add_argument("--figure", type=Path, default=Path(".demo_training/tasks.png"))
    parser.add_argument("--tasks", nargs="*", choices=tuple(TASKS), default=tuple(TASKS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sampler = FabricSampler(load_pipeline(Checkpoint("demo", device=options.device)))
    grids = {
        name: scan_task(TASKS[name], sampler, options.results, smoke=options.smoke)
        for name in options.tasks
    }
    figure(grids, options.figure)
    print(options.figure)


if __name__ == "__main__":
    main()
