"""Feedback windows as each implementation counts them: which U-Net passes are active, and back.

Ours, the authors' and the diffusers community pipeline count passes (`FabricParams.window`). The
WebUI plug-in counts timesteps (dvruette/sd-webui-fabric, `scripts/patching.py`,
`get_curr_feedback_weight`), ComfyUI's nodes the sampler's steps, by the timesteps of the first and
the last (ssitu/ComfyUI_fabric, `fabric/fabric.py`, `fabric_sample` and `unet_wrapper`).

Timesteps fall or stay equal from pass to pass, so that active passes are a range.
"""

from collections.abc import Callable, Sequence

from fabricbo.interop.timesteps import LAST

Window = tuple[float, float]
"""Start and end."""
_DIGITS = 17
_MARGIN = 0.05
"""Share of an interval kept from its ends: theirs is computed in single precision."""
_NUDGE = 1e-6
"""From a timestep that cannot be told from its neighbour: the plug-in is off where start is end."""


def active_by_timestep(window: Window, timesteps: Sequence[float]) -> range:
    """Return the active passes of the WebUI plug-in: start <= 1 - timestep / 999 <= end."""
    start, end = window
    return _as_range([start <= _progress(t) <= end for t in timesteps])


def timestep_window(active: range, timesteps: Sequence[float]) -> Window:
    """Return the plug-in's start and end for which these passes are active, or the nearest more.

    As few decimals as will do. Passes of equal timesteps cannot be told apart. Without an active
    pass the window is reversed, which the plug-in never finds itself in.
    """
    if not active:
        return 1.0, 0.0
    progress = [_progress(t) for t in timesteps]
    first, last = active[0], active[-1]
    start, end = 0.0, 1.0
    if first > 0:
        nudged = max(progress[first] - _NUDGE, 0.0)
        start = _between(progress[first - 1], progress[first], nudged)
    if last < len(progress) - 1:
        nudged = min(progress[last] + _NUDGE, 1.0)
        end = _between(progress[last], progress[last + 1], nudged)
    return start, end


def step_window(active: range, passes: int) -> Window:
    """Return our start and end for which these of `passes` are active, with few decimals."""
    if not active:
        return 1.0, 1.0
    first, last = active[0], active[-1]
    start = 0.0 if first == 0 else _shortest(first / passes, lambda x: round(passes * x) == first)
    if last == passes - 1:
        return start, 1.0
    return start, _shortest(last / passes, lambda x: round(passes * x) == last)


def active_in_comfyui(
    window: tuple[int, int], steps: Sequence[float], timesteps: Sequence[float]
) -> range:
    """Return the active passes of ComfyUI's nodes: below the end step's timestep none.

    Args:
        window: steps from and to which there is feedback.
        steps: whole timestep of each of the sampler's steps.
        timesteps: whole timestep of each pass.

    Raises:
        ValueError: the start lies behind the last step.
    """
    ends = [*steps, 0.0]  # k-diffusion's sigmas end with 0, whose nearest timestep is 0
    start, end = window
    if not 0 <= start < len(ends):
        raise ValueError(f"feedback_start must be in [0, {len(steps)}] steps, got {start}")
    above, most = ends[min(end, len(steps))], ends[start]
    return _as_range([above < t <= most for t in timesteps])


def comfyui_window(
    active: range, steps: Sequence[float], timesteps: Sequence[float]
) -> tuple[int, int]:
    """Return the start and end step for which these passes are active, or the nearest more."""
    if not active:
        return 0, 0
    most, least = timesteps[active[0]], timesteps[active[-1]]
    start = max(i for i, t in enumerate(steps) if t >= most)
    below = [i for i, t in enumerate(steps) if t < least]
    return start, min(below, default=len(steps))


def scaled(active: range, passes: int, onto: int) -> range:
    """Return where active ones of some passes lie among another number of passes."""
    if passes == onto or not active:
        return active
    first = min(round(active[0] * onto / passes), max(onto - 1, 0))
    return range(first, min(max(round((active[-1] + 1) * onto / passes), first + 1), onto))


def _progress(timestep: float) -> float:
    return 1 - timestep / LAST


def _as_range(active: Sequence[bool]) -> range:
    """Return the range of the true ones, which are neighbours."""
    if not any(active):
        return range(0)
    first = active.index(True)
    return range(first, first + sum(active))


def _between(low: float, high: float, equal: float) -> float:
    """Return a number strictly between two, or what is right where they are equal."""
    margin = _MARGIN * (high - low)
    if margin <= 0:
        return equal
    return _shortest((low + high) / 2, lambda x: low + margin < x < high - margin)


def _shortest(value: float, fits: Callable[[float], bool]) -> float:
    """Return the number of fewest decimals near a value that fits, as the value does."""
    rounded = (round(value, digits) for digits in range(1, _DIGITS))
    return next((one for one in rounded if fits(one)), value)
