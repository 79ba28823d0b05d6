"""The command line that both experiments share."""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from experiments.paper.curves import Interval, Outcomes, as_rows, curve
from experiments.paper.directions import DIRECTIONS, RIVALS, Verdict, check, diversity_by_round
from experiments.paper.directions import table as table_of_verdicts
from experiments.paper.figures import figure
from experiments.paper.playing import found_settings, played
from experiments.paper.search import Tried, best
from experiments.paper.setup import make_setup, read_json_object
from experiments.paper.systems import HAND, IMAGES, ROUNDS, SYSTEMS
from fabricbo import ObjectiveError
from fabricbo.proposers import check_proposer

SHOWN = ("score", "best", "judge", "liked", "disliked", "diversity", "evaluations")


def run(protocol: str, description: str) -> None:
    """Parse the command line, play, print."""
    options = _parser(protocol, description).parse_args()
    torch.set_num_threads(options.threads)
    options.hand = HAND
    if options.smoke:
        _make_small(options)
    try:
        options.systems = _systems(options.systems)
        check_proposer(options.proposer)
        setup = make_setup(protocol, options)
        tried = found_settings(setup)
        outcomes = played(setup, tried)
    except (ValueError, FileNotFoundError, ObjectiveError) as error:
        raise SystemExit(str(error)) from error
    if not outcomes:
        raise SystemExit(f"{options.results} keeps no task that all of these systems have played")
    _report(outcomes, tried, options)


def _make_small(options: argparse.Namespace) -> None:
    options.count, options.tuning, options.trials = 2, 1, 2
    options.rounds, options.images, options.steps = 2, 2, 2
    options.proposer = "sobol"


def _systems(names: Sequence[str]) -> dict[str, Any]:
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown:
        raise ValueError(f"--systems must be of {', '.join(SYSTEMS)}, got {unknown[0]!r}")
    return {name: system for name, system in SYSTEMS.items() if name in names}


def _report(outcomes: Outcomes, tried: list[Tried], options: argparse.Namespace) -> None:
    verdicts, rivals = check(outcomes, DIRECTIONS), check(outcomes, RIVALS)
    falls = diversity_by_round(outcomes)
    verdicts += [] if falls is None else [falls]
    if options.csv:
        _write_csv(outcomes, options.csv)
    if options.figure:
        figure(outcomes, options.figure)
    if options.json:
        print(json.dumps(_as_json(outcomes, [*verdicts, *rivals], tried)))
        return
    print(_table(outcomes))
    for title, found in (("What the paper shows", verdicts), ("Rivals", rivals)):
        if found:
            print(f"\n{title}:\n\n{table_of_verdicts(found)}")
    if tried:
        print(f"\n{_told(tried)}")


def _told(tried: list[Tried]) -> str:
    chosen = best(tried)
    names = ("feedback_start", "feedback_end", "max_weight", "neg_scale")
    settings = ", ".join(f"{name} {getattr(chosen.params, name):.3g}" for name in names)
    spent = sum(one.evaluations for one in tried)
    return (
        f"Settings found in {len(tried)} trials on {len(chosen.values)} other prompts, "
        f"{spent} U-Net evaluations: {settings}; last round there {chosen.mean:.3f}, "
        f"with the hand settings {tried[0].mean:.3f}"
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


def _as_json(outcomes: Outcomes, verdicts: list[Verdict], tried: list[Tried]) -> dict[str, Any]:
    """Return one object: curves, verdicts, and what was tried."""
    return {
        "curves": as_rows(outcomes),
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "search": [
            {**vars(one), "params": one.params.to_json(), "mean": one.mean} for one in tried
        ],
    }


def _parser(protocol: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_what_draws(parser)
    parser.add_argument("--prompts", type=Path, help=".csv, .parquet or .txt; see the docs")
    parser.add_argument("--count", type=int, default=100, help="prompts to report")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--images", type=int, default=IMAGES, help="a round")
    parser.add_argument(
        "--systems",
        type=lambda text: text.split(","),
        default=tuple(SYSTEMS),
        help=f"default: {','.join(SYSTEMS)}",
    )
    parser.add_argument("--scorer", default="pickscore", help="objective that chooses feedback")
    parser.add_argument("--scorer-options", type=read_json_object, help="a JSON object")
    parser.add_argument("--clip", help="open_clip model for similarities")
    parser.add_argument("--judge", help="objective that chooses nothing, or `demo`")
    parser.add_argument("--tuning", type=int, default=6, help="other prompts, to search on")
    parser.add_argument("--trials", type=int, default=16, help="of the search")
    parser.add_argument("--proposer", default="fabricbo", help="who searches")
    results = Path(f".benchmark/paper-{protocol}.jsonl")
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--kept", action="store_true", help="play nothing, tell what is kept")
    parser.add_argument("--csv", type=Path, help="write all curves to this file")
    parser.add_argument("--figure", type=Path, help="draw the paper's figures to this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="two prompts, two rounds, two steps")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def _add_what_draws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", default="demo", help="demo, a folder, a file or a hub id")
    parser.add_argument("--revision", help="of a hub id")
    parser.add_argument("--config", type=Path, help="architecture of a single file")
    parser.add_argument("--lora", type=Path, help=".safetensors; demo brings its own")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--size", type=int, help="pixels; default: the checkpoint's own")
    parser.add_argument("--negative-prompt", help="default: the authors', none for demo")
    parser.add_argument("--steps", type=int, default=HAND.denoising_steps)
    parser.add_argument("--guidance", type=float, default=HAND.guidance_scale)
    parser.add_argument(
        "--scheduler", choices=("euler-ancestral", "own"), default="euler-ancestral"
    )
