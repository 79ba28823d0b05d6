"""From the command line to what plays: networks, tasks, and what results are kept under."""

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

from experiments.paper.lora_training import WEIRD
from experiments.paper.panel import Panel, Scorer, by_objective, by_target, demo_judge
from experiments.paper.rounds import Artist, Plan
from experiments.paper.systems import NEGATIVE_PROMPT, System
from experiments.paper.tasks import Task, demo_tasks, file_tasks
from experiments.train_demo_lora import LORA_FILE
from fabricbo import load_objective
from fabricbo.imagefiles import pixel_hash
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import Checkpoint, FabricSampler, SamplerOptions, load_pipeline
from objectives.embedder import check_scorer, load_embedder
from objectives.networks import Place

AUTHORS_CLIP = "ViT-L-14-336/openai"
TARGET_SEEDS = 50_000_000
"""From which the bundled checkpoint draws targets; tasks draw from lower ones."""


@dataclass(frozen=True)
class Setup:
    """What is common to all tasks and systems of a call."""

    protocol: str
    """`preference` or `target`."""
    options: argparse.Namespace
    plan: Plan
    hand: FabricParams
    tasks: list[Task]
    tuning: list[Task]
    artist: Callable[[bool], Artist]
    """Returns who draws, without or with the LoRA; networks are loaded when first asked for."""
    panel: Panel

    def key(self, task: Task, system: System, params: FabricParams) -> list[Any]:
        """Return all that an outcome depends on."""
        options = self.options
        shown = task.shown.caption() if task.shown else task.target and pixel_hash(task.target)
        lora = _file_hash(options.lora) if system.lora else None
        return [
            *(self.protocol, options.checkpoint, options.revision, lora, options.scheduler),
            *(options.negative_prompt, options.scorer, options.scorer_options, options.clip),
            *(options.judge, self.plan.rounds, self.plan.images, task.index, task.prompt, shown),
            *(system.liked, system.disliked, params.to_json()),
        ]


def make_setup(protocol: str, options: argparse.Namespace) -> Setup:
    """Check everything that can be wrong, then make ready; networks are loaded when needed.

    Raises:
        ValueError: an option is wrong, or a file of prompts cannot be used.
        ObjectiveError: scorer, judge or CLIP cannot be found.
    """
    is_demo = options.checkpoint == "demo"
    _fill_in(options, is_demo=is_demo)
    hand = replace(options.hand, denoising_steps=options.steps, guidance_scale=options.guidance)
    plan = Plan(options.rounds, options.images)
    checkpoints = {
        with_lora: Checkpoint(
            options.checkpoint,
            options.revision,
            options.config,
            options.lora if with_lora else None,
            options.device,
        )
        for with_lora in {False, any(system.lora for system in options.systems.values())}
    }
    panel = _panel(protocol, options)
    tasks, tuning = _tasks(protocol, options, is_demo=is_demo)

    @cache
    def artist(with_lora: bool) -> Artist:
        return Artist(_sampler(checkpoints[with_lora], options, with_lora=with_lora))

    return Setup(protocol, options, plan, hand, tasks, tuning, artist, panel)


def _fill_in(options: argparse.Namespace, *, is_demo: bool) -> None:
    """Choose what was left open, by the checkpoint."""
    if options.negative_prompt is None:
        # The bundled checkpoint would read it letter by letter.
        options.negative_prompt = "" if is_demo else NEGATIVE_PROMPT
    if options.clip is None:
        options.clip = "demo" if is_demo else AUTHORS_CLIP
    if options.scorer_options is None:
        demo_scorer = is_demo and options.scorer == "pickscore"
        options.scorer_options = {"checkpoint": "demo"} if demo_scorer else {}
    if options.judge is None and is_demo and options.prompts is None:
        options.judge = "demo"
    if options.lora is None and is_demo:
        options.lora = LORA_FILE
    if options.lora is None:
        # A real checkpoint without a LoRA file plays the systems that need none.
        options.systems = {n: s for n, s in options.systems.items() if not s.lora}


def _panel(protocol: str, options: argparse.Namespace) -> Panel:
    check_scorer(options.clip)
    place = Place(options.device)

    def embed(images: Any) -> Any:
        return load_embedder(options.clip, place).images(images)

    if protocol == "target":
        scorer = by_target(embed)
    else:
        scorer = by_objective(load_objective(options.scorer, options.scorer_options))
    return Panel(scorer, embed, _judge(protocol, options))


def _judge(protocol: str, options: argparse.Namespace) -> Scorer | None:
    if options.judge is None:
        return None
    if options.judge == "demo":
        return demo_judge(of_target=protocol == "target")
    return by_objective(load_objective(options.judge))


def _tasks(
    protocol: str, options: argparse.Namespace, *, is_demo: bool
) -> tuple[list[Task], list[Task]]:
    if options.prompts is not None:
        with_targets = protocol == "target"
        return file_tasks(options.prompts, options.count, options.tuning, with_targets=with_targets)
    if not is_demo:
        raise ValueError("--prompts FILE is needed: only the bundled checkpoint has its own")
    return demo_tasks(options.count, options.tuning)


def with_demo_targets(setup: Setup, tasks: list[Task]) -> list[Task]:
    """Give tasks the targets that the bundled checkpoint draws from the whole caption."""
    if setup.protocol != "target":
        return tasks
    artist = setup.artist(False)
    action = Action(setup.hand)
    return [
        replace(task, target=artist(action, task.shown.caption(), [TARGET_SEEDS + task.index])[0])
        if task.target is None and task.shown
        else task
        for task in tasks
    ]


def _sampler(
    checkpoint: Checkpoint, options: argparse.Namespace, *, with_lora: bool
) -> FabricSampler:
    from diffusers import EulerAncestralDiscreteScheduler

    pipeline = load_pipeline(checkpoint)
    pipeline.unet.to(memory_format=torch.channels_last)
    if with_lora:
        # Worked into the parameters it takes no time of its own.
        pipeline.fuse_lora()
        pipeline.unload_lora_weights()
    if options.scheduler == "euler-ancestral":
        pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    negative_prompt = (WEIRD if with_lora else "") + options.negative_prompt
    return FabricSampler(pipeline, SamplerOptions(negative_prompt, options.size, options.size))


@cache
def _file_hash(file: Any) -> str:
    return hashlib.sha256(file.expanduser().read_bytes()).hexdigest()[:12]


def read_json_object(text: str) -> Mapping[str, Any]:
    """Read options of a scorer.

    Raises:
        ValueError: no JSON object.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, got {text}")
    return found
