"""The command line that both experiments share."""

import argparse
import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from experiments.paper.curves import Interval, Outcomes, as_rows, curve
from experiments.paper.directions import DIRECTIONS, RIVALS, Verdict, check, diversity_by_round
from experiments.paper.directions import table as table_of_verdicts
from experiments.paper.figures import figure
from experiments.paper.options import make_setup, read_options
from experiments.paper.playing import found_settings, played
from experiments.paper.search import Found
from experiments.paper.setup import load_networks
from experiments.paper.systems import SYSTEMS
from fabricbo import ObjectiveError

SHOWN = ("score", "best", "judge", "liked", "disliked", "diversity", "evaluations")


def run(protocol: str, description: str) -> None:
    """Parse the command line, play, print."""
    options = read_options(protocol, description)
    torch.set_num_threads(options.threads)
    try:
        setup = make_setup(protocol, options)
        if not setup.kept:
            load_networks(setup)
        found = found_settings(setup)
        outcomes = played(setup, found)
    except (ValueError, FileNotFoundError, ObjectiveError) as error:
        raise SystemExit(str(error)) from error
    if not outcomes:
        raise SystemExit(f"{options.results} keeps no task that all of these systems have played")
    _report(outcomes, found, options)


def _report(outcomes: Outcomes, found: Found | None, options: argparse.Namespace) -> None:
    verdicts, rivals = check(outcomes, DIRECTIONS), check(outcomes, RIVALS)
    falls = diversity_by_round(outcomes)
    verdicts += [] if falls is None else [falls]
    if options.csv:
        _write_csv(outcomes, options.csv)
    if options.figure:
        figure(outcomes, options.figure)
    if options.json:
        print(json.dumps(_as_json(outcomes, [*verdicts, *rivals], found)))
        return
    print(_table(outcomes))
    for title, told in (("What the paper shows", verdicts), ("Rivals", rivals)):
        if told:
            print(f"\n{title}:\n\n{table_of_verdicts(told)}")
    if found is not None:
        print(f"\n{_told(found)}")


def _told(found: Found) -> str:
    names = ("feedback_start", "feedback_end", "max_weight", "neg_scale")
    settings = ", ".join(f"{name} {getattr(found.params, name):.3g}" for name in names)
    chosen, hand = found.trials[found.chosen], found.trials[0]
    return (
        f"Settings found in {len(found.trials)} trials on {len(hand.values)} other prompts, "
        f"{found.evaluations} U-Net evaluations: {settings}; rounds with feedback there "
        f"{chosen.mean:.3f}, with the hand settings {hand.mean:.3f}, expected gain "
        f"{found.expected:.3f} ± {found.standard_error:.3f}"
    )


def _table(outcomes: Outcomes) -> str:
    """Write the last round of every system as a Markdown table."""
    prompts = len(next(iter(outcomes.values())))
    lines = [
        f"Last round, mean over {prompts} prompts with 95 % intervals:\n",
        f"| system | {' | '.join(SHOWN)} |",
        "|---" * (len(SHOWN) + 1) + "|",
    ]
    for name, rows in outcomes.items():
        last = [curve(rows, measure)[-1] for measure in SHOWN]
        lines.append(f"| {SYSTEMS[name].title} | {' | '.join(map(_cell, last))} |")
    return "\n".join(lines)


def _cell(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.mean:.0f}" if interval.mean > 100 else str(interval)


def _write_csv(outcomes: Outcomes, file: Path) -> None:
    rows = as_rows(outcomes)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _as_json(outcomes: Outcomes, verdicts: list[Verdict], found: Found | None) -> dict[str, Any]:
    """Return one object: curves, verdicts, and what was tried."""
    trials = () if found is None else found.trials
    return {
        "curves": as_rows(outcomes),
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "search": [
            {**vars(one), "params": one.params.to_json(), "mean": one.mean} for one in trials
        ],
        "found": None if found is None else found.params.to_json(),
    }
