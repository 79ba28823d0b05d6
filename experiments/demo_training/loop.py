"""The training loop that every stage uses: cosine by wall clock, EMA, resumable at any moment."""

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

CHECKPOINT_SECONDS = 120


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a stage learns."""

    name: str
    minutes: float
    learning_rate: float
    ema: float = 0.0
    """Decay of the exponential moving average; 0 keeps none."""
    weight_decay: float = 0.01
    seed: int = 0


@dataclass
class Progress:
    """Where a stage stands."""

    seconds: float = 0.0
    iterations: int = 0
    loss: float = math.nan
    """Smoothed."""


def train(
    modules: nn.Module,
    loss: Callable[[Generator], Tensor],
    recipe: Recipe,
    folder: Path,
    on_checkpoint: Callable[[nn.Module, Progress], None] = lambda *_: None,
) -> nn.Module:
    """Minimise `loss` until the recipe's minutes are used, counting those of earlier calls.

    Returns:
        The modules to use: the averaged ones if the recipe averages.
    """
    file = folder / f"{recipe.name}.training.pt"
    optimizer = torch.optim.AdamW(
        modules.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    average = copy.deepcopy(modules).requires_grad_(False) if recipe.ema else modules
    generator, progress = Generator().manual_seed(recipe.seed), Progress()
    if file.exists():
        _load(file, modules, average, optimizer, generator, progress)
    saved = time.monotonic()
    while progress.seconds < recipe.minutes * 60:
        began = time.monotonic()
        rate = _set_rate(optimizer, recipe, progress)
        value = loss(generator)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimizer.step()
        progress.iterations += 1
        _average(average, modules, recipe, progress.iterations)
        _smooth(progress, float(value.detach()))
        progress.seconds += time.monotonic() - began
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            _save(file, modules, average, optimizer, generator, progress)
            _log(recipe, progress, rate)
            on_checkpoint(average, progress)
    _save(file, modules, average, optimizer, generator, progress)
    _log(recipe, progress, 0.0)
    return average


def autocast(images: Tensor) -> torch.autocast:
    """Compute in bfloat16, on the device of some pictures."""
    return torch.autocast(images.device.type, torch.bfloat16)


def noise_like(values: Tensor, generator: Generator) -> Tensor:
    """Draw normal noise from a generator on the CPU, so that every device sees the same."""
    return torch.randn(values.shape, generator=generator).to(values.device)


def _set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: Progress) -> float:
    """Warm up over 200 iterations, then fall as half a cosine over the time given."""
    done = min(progress.seconds / (recipe.minutes * 60), 1.0)
    rate = recipe.learning_rate * max(0.5 * (1 + math.cos(math.pi * done)), 0.01)
    rate *= min(1.0, (progress.iterations + 1) / 200)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


@torch.no_grad()
def _average(average: nn.Module, modules: nn.Module, recipe: Recipe, iterations: int) -> None:
    if not recipe.ema:
        return
    decay = min(recipe.ema, (1 + iterations) / (10 + iterations))
    for kept, current in zip(average.parameters(), modules.parameters(), strict=True):
        kept.lerp_(current, 1 - decay)


def _smooth(progress: Progress, value: float) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss became {value} at iteration {progress.iterations}")
    first = math.isnan(progress.loss)
    progress.loss = value if first else 0.99 * progress.loss + 0.01 * value


def _log(recipe: Recipe, progress: Progress, rate: float) -> None:
    print(
        f"{recipe.name}: {progress.seconds / 60:.1f} of {recipe.minutes:g} min, "
        f"{progress.iterations} iterations, loss {progress.loss:.4f}, rate {rate:.2e}",
        flush=True,
    )


def _save(
    file: Path,
    modules: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: Generator,
    progress: Progress,
) -> None:
    state = {
        "modules": modules.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "progress": vars(progress),
    }
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def _load(
    file: Path,
    modules: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: Generator,
    progress: Progress,
) -> None:
    state = torch.load(file, map_location="cpu", weights_only=True)
    modules.load_state_dict(state["modules"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(state["generator"])
    vars(progress).update(state["progress"])
    print(f"resumed {file.name} at {progress.iterations} iterations", flush=True)
