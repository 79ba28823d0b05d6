"""What an evaluation costs: seconds, and the most memory that it holds at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

Way = Callable[[], object]


def side_by_side(ways: Mapping[str, Way], rounds: int) -> dict[str, float]:
    """Return the median seconds of each way; each round runs all of them, one after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(_timed(way))
    return {name: median(several) for name, several in seconds.items()}


def _timed(way: Way) -> float:
    # A CPU's cores may be shared: the clock would count what others compute.
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    _finish()
    began = clock()
    way()
    _finish()
    return clock() - began


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def operations(way: Way) -> float:
    """Return how many multiplications with an addition each a way needs, in billions (U-Nets on the
    device `meta`, which computes nothing)."""
    with FlopCounterMode(display=False) as counter:
        way()
    return counter.get_total_flops() / 2e9


def peak_bytes(way: Way) -> int:
    """Return the most bytes of tensors that are held at once beyond what was there before."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        way()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        way()
    # The list of single allocations is in the raw results only.
    raw = found.profiler.kineto_results.events()  # type: ignore[union-attr]
    return _highest([event.nbytes() for event in raw if event.name() == "[memory]"])


def _highest(changes: Sequence[int]) -> int:
    held = highest = 0
    for change in changes:
        held += change
        highest = max(highest, held)
    return highest
