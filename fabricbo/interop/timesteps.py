"""Which timesteps programs denoise at: Stable Diffusion's 1000 training timesteps, spaced in ways.

Spacings are those of k-diffusion (crowsonkb/k-diffusion, `sampling.py` and `external.py`), which
WebUI and ComfyUI share; the tests hold them to diffusers' schedulers.
"""

from enum import StrEnum
from functools import cache

import numpy as np
import numpy.typing as npt

LAST = 999
"""The noisiest timestep; 0 is the least noisy one."""
_RHO = 7.0
"""Karras et al. (arXiv 2206.00364), equation 5."""

Timesteps = npt.NDArray[np.float64]


class Spacing(StrEnum):
    """How the timesteps of n denoising steps are spaced."""

    LINEAR = "linear"
    """From 999 to 0, both included."""
    KARRAS = "karras"
    """Sigmas by equation 5 of Karras et al., from the largest to the smallest."""
    EXPONENTIAL = "exponential"
    """Sigmas in constant ratio, from the largest to the smallest."""
    SGM = "sgm"
    """Linear with one more, the last left out."""
    SIMPLE = "simple"
    """Every (1000 / n)th, from 999."""
    LEADING = "leading"
    """Every (1000 // n)th, to 1; may be more than n."""
    LCM = "lcm"
    """Linear, from 999 to 19, the least noisy of the 50 that LCM was trained on."""


class Passes(StrEnum):
    """At which timesteps a solver runs the U-Net."""

    ONE = "one"
    """Once a denoising step."""
    HEUN = "heun"
    """Again at the next step's timestep; the last step once."""
    MIDPOINT = "midpoint"
    """Again halfway to the next one in log sigma; the last step once."""
    PLMS = "plms"
    """Again at the next step's timestep, in the first step only."""


def step_timesteps(spacing: Spacing, steps: int) -> Timesteps:
    """Return the timestep of each denoising step, falling."""
    if spacing is Spacing.LEADING:
        return np.clip(np.arange(0, LAST + 1, (LAST + 1) // steps)[::-1] + 1.0, 0, LAST)
    if spacing is Spacing.SIMPLE:
        return np.array([LAST - int(i * (LAST + 1) / steps) for i in range(steps)], dtype=float)
    if spacing is Spacing.LINEAR:
        return np.linspace(LAST, 0, steps)
    if spacing is Spacing.LCM:
        return np.linspace(LAST, 19, steps)
    if spacing is Spacing.SGM:
        return np.linspace(LAST, 0, steps + 1)[:-1]
    return timesteps_of(_spaced_log_sigmas(spacing, steps))


def pass_timesteps(steps: Timesteps, passes: Passes) -> Timesteps:
    """Return the timestep of each U-Net pass, given those of the denoising steps."""
    if passes is Passes.PLMS:
        return np.concatenate([steps[:2], steps[1:]])
    if passes is Passes.ONE or not len(steps):
        return steps
    between = steps[1:]
    if passes is Passes.MIDPOINT:
        log_sigmas = _log_sigmas_of(steps)
        between = timesteps_of((log_sigmas[:-1] + log_sigmas[1:]) / 2)
    second = between if passes is Passes.MIDPOINT else steps[1:]
    return np.concatenate([np.stack([steps[:-1], second], axis=1).ravel(), steps[-1:]])


def number_of_passes(steps: int, passes: Passes) -> int:
    """Return how often a diffusers scheduler has the U-Net run in some denoising steps."""
    if passes is Passes.ONE:
        return steps
    return steps + 1 if passes is Passes.PLMS else 2 * steps - 1


def timesteps_of(log_sigmas: Timesteps) -> Timesteps:
    """Return the timesteps of noise levels, interpolated linearly in log sigma."""
    return np.asarray(np.interp(log_sigmas, _training_log_sigmas(), np.arange(LAST + 1.0)))


def nearest_timesteps(timesteps: Timesteps) -> Timesteps:
    """Return the whole timesteps whose log sigma is nearest, as ComfyUI has it."""
    distances = np.abs(_log_sigmas_of(timesteps)[:, None] - _training_log_sigmas()[None])
    return np.asarray(distances.argmin(axis=1), dtype=np.float64)


def _log_sigmas_of(timesteps: Timesteps) -> Timesteps:
    return np.asarray(np.interp(timesteps, np.arange(LAST + 1.0), _training_log_sigmas()))


@cache
def _training_log_sigmas() -> Timesteps:
    """Return log sigma of each training timestep: betas 0.00085 to 0.012, "scaled linear"."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, LAST + 1) ** 2
    kept = np.cumprod(1 - betas)
    return np.asarray(np.log((1 - kept) / kept) / 2)


def _spaced_log_sigmas(spacing: Spacing, steps: int) -> Timesteps:
    least, most = _training_log_sigmas()[0], _training_log_sigmas()[-1]
    ramp = np.linspace(0, 1, steps)
    if spacing is Spacing.EXPONENTIAL:
        return np.asarray(most + ramp * (least - most))
    ends = np.exp(most / _RHO), np.exp(least / _RHO)
    return np.asarray(_RHO * np.log(ends[0] + ramp * (ends[1] - ends[0])))
