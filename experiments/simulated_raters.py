"""Simulated people with a hidden taste: what their judgements come to, asked in several ways.

    python -m experiments.simulated_raters                         # all ways, careful people
    python -m experiments.simulated_raters --people all --worlds pool-8 --seeds 5
    python -m experiments.simulated_raters --worlds demo:style-and-background --seeds 3
    python -m experiments.simulated_raters --kept --results docs/data/raters.jsonl
    python -m experiments.simulated_raters --smoke

Studies, the worker that draws and asks, and votes are real; people are `experiments.raters`.
Everybody who is asked about a pair or gives stars has given one judgement, who says of each of
four images whether they like it has given four. Runs are kept in `--results`, and what is there
is not played again. Seeds below 100 are for tuning (`--tuning`).
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch

from experiments.benchmark.synthetic import SHAPES
from experiments.raters.caricature_world import caricature_world
from experiments.raters.people import PEOPLE, Person
from experiments.raters.rating import rate
from experiments.raters.runs import Point, Results, Run
from experiments.raters.telling import figure, saved, table
from experiments.raters.ways import WAYS
from experiments.raters.world import World
from fabricbo.study import Study

FIRST_REPORTING_SEED = 100
DASHBOARD = "optuna-dashboard"
DEMO = "demo:"
EVERY = 4
"""Judgements between two looks at what they have come to."""


@lru_cache(maxsize=1)
def find_world(name: str, seed: int) -> World:
    """Return an instance of the caricature, or a task of the bundled checkpoint."""
    if name in SHAPES:
        return caricature_world(name, seed)
    from experiments.raters.demo_world import demo_world

    return demo_world(name.removeprefix(DEMO), seed)


def played(options: argparse.Namespace) -> Iterator[Run]:
    """Play all that is asked for and not known yet."""
    results = Results(options.results)
    for number in range(options.seeds):
        seed = number + (0 if options.tuning else FIRST_REPORTING_SEED)
        for world in options.worlds:
            for person in options.people:
                for way in options.ways:
                    key = (world, way, person, seed, options.budget)
                    if key not in results and not options.kept:
                        results.add(_played(*key))
                    if key in results:
                        yield results[key]


def _played(world: str, way: str, person: str, seed: int, budget: int) -> Run:
    began = time.perf_counter()
    points = tuple(
        _points(find_world(world, seed), way, Person(PEOPLE[person], seed), seed, budget)
    )
    run = Run(world, way, person, seed, budget, points, time.perf_counter() - began)
    print(f"{world} {seed}, {person}, {way}: {points[-1].regret:.2f}", file=sys.stderr)
    return run


def _points(world: World, way: str, person: Person, seed: int, budget: int) -> Iterator[Point]:
    due = range(EVERY, budget + 1, EVERY)
    if way == DASHBOARD:
        from experiments.raters.dashboard import rate_in_dashboard

        return rate_in_dashboard(world, seed, person, due)

    def look(study: Study) -> Point:
        trials = study.trials
        best = trials[WAYS[way].outcome(study)]
        return Point(person.judgements, world.regret(best.action), len(trials))

    return rate(world, WAYS[way], person, due, look)


def main() -> None:
    """Parse the command line, play, print."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    if options.smoke:
        options.worlds, options.seeds, options.budget = ["scalars-2"], 1, 8
    runs = list(played(options))
    if not runs:
        raise SystemExit(f"{options.results} keeps no run of what was asked for")
    print(table(runs))
    for line in saved(runs):
        print(line)
    if options.figure:
        figure(runs, options.figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = (*WAYS, DASHBOARD)
    parser.add_argument(
        "--worlds",
        type=lambda text: text.split(","),
        default=["scalars-4", "pool-4", "pool-8"],
        help=f"of {', '.join(SHAPES)}, or demo:TASK",
    )
    parser.add_argument("--ways", type=_some(ways), default=ways, help=f"of {', '.join(ways)}")
    parser.add_argument(
        "--people", type=_some((*PEOPLE,)), default=("careful",), help=f"of {', '.join(PEOPLE)}"
    )
    parser.add_argument("--budget", type=int, default=48, help="judgements")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tuning", action="store_true", help="instances that may be tuned on")
    parser.add_argument("--results", type=Path, default=Path(".benchmark/raters.jsonl"))
    parser.add_argument("--kept", action="store_true", help="play nothing, tell what is kept")
    parser.add_argument("--figure", type=Path, help="draw regret by judgements to this file")
    parser.add_argument("--smoke", action="store_true", help="one small world, eight judgements")
    return parser


def _some(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = known if text == "all" else tuple(text.split(","))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return tuple(names)

    return read


if __name__ == "__main__":
    main()
