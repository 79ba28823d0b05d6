"""From the command line to an experiment: what was left open is chosen by the checkpoint."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from experiments.paper.drawing import SCHEDULERS, Drawing
from experiments.paper.panel import PanelChoice, make_panel
from experiments.paper.rounds import Artist, Plan
from experiments.paper.setup import Searching, Setup
from experiments.paper.systems import (
    BEST_OF_N,
    EQUAL_TO,
    HAND,
    IMAGES,
    NEGATIVE_PROMPT,
    ROUNDS,
    SYSTEMS,
    System,
)
from experiments.paper.tasks import Task, demo_tasks, file_tasks
from experiments.train_demo_lora import LORA_FILE
from fabricbo.proposers import check_proposer
from fabricbo.sampler import Checkpoint

AUTHORS_CLIP = "ViT-L-14-336/openai"


@dataclass(frozen=True)
class _Defaults:
    """What suits a checkpoint."""

    negative_prompt: str
    clip: str
    scorer_options: Mapping[str, Any]
    lora: Path | None
    judge: str | None


# The bundled checkpoint would read the authors' negative prompt letter by letter.
_DEMO = _Defaults("", "demo", {"checkpoint": "demo"}, LORA_FILE, "demo")
_OTHERS = _Defaults(NEGATIVE_PROMPT, AUTHORS_CLIP, {}, None, None)


def make_setup(protocol: str, options: argparse.Namespace) -> Setup:
    """Check everything that can be wrong; networks are loaded when they are needed.

    Raises:
        ValueError: an option is wrong, or a file of prompts cannot be used.
        ObjectiveError: scorer, judge or CLIP cannot be found.
    """
    check_proposer(options.proposer)
    drawing, looking = _drawing(options), _looking(options)
    tasks, tuning = _tasks(protocol, options)

    @cache
    def artist(with_lora: bool) -> Artist:
        return drawing.artist(with_lora=with_lora)

    return Setup(
        protocol=protocol,
        drawing=drawing,
        looking=looking,
        plan=Plan(options.rounds, options.images),
        hand=replace(HAND, denoising_steps=options.steps, guidance_scale=options.guidance),
        systems=_systems(options, with_lora=drawing.lora is not None),
        tasks=tasks,
        tuning=tuning,
        searching=Searching(options.trials, options.proposer),
        results=options.results,
        kept=options.kept,
        artist=artist,
        panel=make_panel(looking, of_target=protocol == "target"),
    )


def _defaults(options: argparse.Namespace) -> _Defaults:
    return _DEMO if options.checkpoint == "demo" else _OTHERS


def _drawing(options: argparse.Namespace) -> Drawing:
    defaults = _defaults(options)
    given = options.negative_prompt
    return Drawing(
        Checkpoint(options.checkpoint, options.revision, options.config, device=options.device),
        options.lora or defaults.lora,
        defaults.negative_prompt if given is None else given,
        options.scheduler,
        options.size,
    )


def _looking(options: argparse.Namespace) -> PanelChoice:
    defaults = _defaults(options)
    fitting = defaults.scorer_options if options.scorer == "pickscore" else {}
    given = options.scorer_options
    # Of prompts from a file nobody knows what they should show.
    judge = options.judge or (None if options.prompts else defaults.judge)
    return PanelChoice(
        options.scorer,
        fitting if given is None else given,
        options.clip or defaults.clip,
        judge,
        options.device,
    )


def _systems(options: argparse.Namespace, *, with_lora: bool) -> dict[str, System]:
    unknown = [name for name in options.systems if name not in SYSTEMS]
    if unknown:
        raise ValueError(f"--systems must be of {', '.join(SYSTEMS)}, got {unknown[0]!r}")
    if BEST_OF_N in options.systems and EQUAL_TO not in options.systems:
        raise ValueError(f"{BEST_OF_N} spends what {EQUAL_TO} does: --systems must name both")
    wanted = {name: system for name, system in SYSTEMS.items() if name in options.systems}
    # Without a LoRA file, those that need none.
    return {name: system for name, system in wanted.items() if with_lora or not system.lora}


def _tasks(protocol: str, options: argparse.Namespace) -> tuple[list[Task], list[Task]]:
    if options.prompts is not None:
        with_targets = protocol == "target"
        return file_tasks(options.prompts, options.count, options.tuning, with_targets=with_targets)
    if options.checkpoint != "demo":
        raise ValueError("--prompts FILE is needed: only the bundled checkpoint has its own")
    return demo_tasks(options.count, options.tuning)


def read_options(protocol: str, description: str) -> argparse.Namespace:
    """Read the command line."""
    options = _parser(protocol, description).parse_args()
    if options.smoke:
        options.count, options.tuning, options.trials = 2, 1, 2
        options.rounds, options.images, options.steps = 2, 2, 2
        options.proposer = "sobol"
    return options


def _parser(protocol: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_what_draws(parser)
    _add_who_looks(parser)
    parser.add_argument("--prompts", type=Path, help=".csv, .parquet or .txt; see docs/paper.md")
    parser.add_argument("--count", type=int, default=100, help="prompts to report")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--images", type=int, default=IMAGES, help="a round")
    parser.add_argument(
        "--systems",
        type=lambda text: text.split(","),
        default=tuple(SYSTEMS),
        help=f"default: {','.join(SYSTEMS)}",
    )
    parser.add_argument("--tuning", type=int, default=16, help="other prompts, to search on")
    parser.add_argument("--trials", type=int, default=12, help="of the search")
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
    parser.add_argument("--scheduler", choices=SCHEDULERS, default=SCHEDULERS[0])


def _add_who_looks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scorer", default="pickscore", help="objective that chooses feedback")
    parser.add_argument("--scorer-options", type=_json_object, help="a JSON object")
    parser.add_argument("--clip", help="open_clip model for similarities")
    parser.add_argument("--judge", help="objective that chooses nothing, or `demo`")


def _json_object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, got {text}")
    return found
