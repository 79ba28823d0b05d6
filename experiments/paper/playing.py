"""Playing all that is asked for and not known yet, task after task."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.paper.curves import Outcomes
from experiments.paper.results import Outcome, Results, RoundResult, fingerprint
from experiments.paper.rounds import best_of_n, play
from experiments.paper.search import Found, SearchFile, search, space
from experiments.paper.setup import Setup, with_demo_targets
from experiments.paper.systems import BEST_OF_N, EQUAL_TO, SYSTEMS, System
from experiments.paper.tasks import Task
from fabricbo.proposers import make_proposer
from fabricbo.records import FabricParams

SEARCHED = SYSTEMS["fabric"]
"""Whose settings are searched."""


def found_settings(setup: Setup) -> Found | None:
    """Return what the search found, missing trials played now; None where nobody needs it.

    None too where only what is kept is told, and the search has not come to its end.
    """
    if not any(system.found for system in setup.systems.values()):
        return None
    key = fingerprint(*(setup.key(task, SEARCHED, setup.hand) for task in setup.tuning))
    file, trials = SearchFile(search_file(setup.results), key), setup.searching.trials
    if setup.kept or file.found(trials):
        return file.found(trials)
    tuning = with_demo_targets(setup, setup.tuning)

    def measure(params: FabricParams) -> list[Sequence[RoundResult]]:
        artist = setup.artist(False)
        return [play(task, SEARCHED, params, artist, setup.panel, setup.plan) for task in tuning]

    proposer = make_proposer(setup.searching.proposer)
    return search(proposer, measure, space(setup.hand), trials, file)


def search_file(results: Path) -> Path:
    """Return where the trials of the search are kept."""
    return results.with_name(f"{results.stem}-search.jsonl")


def played(setup: Setup, search_end: Found | None) -> Outcomes:
    """Play every system on every task; tasks are complete before the next one begins.

    Only tasks that all systems have played are returned. Where only what is kept is told, systems
    of which nothing is kept are left out.
    """
    results, found = Results(setup.results), search_end and search_end.params
    systems = {
        name: system
        for name, system in setup.systems.items()
        if found is not None or not system.found
    }
    tasks = setup.tasks
    if not setup.kept:
        tasks = with_demo_targets(setup, tasks)
    by_task = [_play_task(setup, task, systems, found, results) for task in tasks]
    present = [name for name in systems if any(name in row for row in by_task)]
    complete = [row for row in by_task if len(row) == len(present)]
    return {name: [row[name] for row in complete] for name in present if complete}


def _play_task(
    setup: Setup,
    task: Task,
    systems: Mapping[str, System],
    found: FabricParams | None,
    results: Results,
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for name, system in systems.items():
        if name == BEST_OF_N and EQUAL_TO not in outcomes:
            continue  # not kept
        params = system.params(setup.hand, found)
        spent = [one.evaluations for one in outcomes[EQUAL_TO].rounds] if name == BEST_OF_N else []
        key = fingerprint(setup.key(task, system, params), spent)
        outcome = results.get(name, task.index, key)
        if outcome is None and not setup.kept:
            outcome = Outcome(name, task.index, key, _play(setup, task, system, params, spent))
            outcome = results.add(outcome)
        if outcome is not None:
            outcomes[name] = outcome
    if not setup.kept:
        print(json.dumps({"task": task.index, "prompt": task.prompt}), file=sys.stderr, flush=True)
    return outcomes


def _play(
    setup: Setup, task: Task, system: System, params: FabricParams, spent: list[int]
) -> tuple[RoundResult, ...]:
    artist = setup.artist(system.lora)
    if spent:
        return best_of_n(task, params, artist, setup.panel, setup.plan, spent)
    return play(task, system, params, artist, setup.panel, setup.plan)
