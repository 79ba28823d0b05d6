"""The pass of a reference through the network, which gives its features.

Method: arXiv 2307.10159, section 3: a reference is noised to the current timestep and goes
through the U-Net with an empty prompt. It goes without other references, for two denoising steps at
once, always the same two: so its features do not depend on what else is asked for.
"""

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fabricbo.sampler.inputs import FeedbackInputs, ReferenceLatent
from fabricbo.sampler.networks import Network, call
from fabricbo.sampler.noise import ANY_STEP
from fabricbo.sampler.surgery import Features, UNetPatch

STEPS_TOGETHER = 2
"""A row takes less in a batch of two than alone, and less still in one of four (see
docs/performance.md). But four hold more at once than a guided pass of one image, and run more steps
that are outside of a window."""


def steps_together(*, lean: bool) -> int:
    """Return for how many denoising steps a reference goes through in one batch.

    One where memory is short: features of a later step would have to be held until it comes.
    """
    return 1 if lean else STEPS_TOGETHER


_SIZES = ("time_ids", "resolution", "aspect_ratio")
"""What tells a network of the image's size: SDXL, and PixArt alpha for 1024 pixels."""
_GUIDANCE = ("timestep_cond", "guidance")
"""What tells a network how strong guidance is to be: LCM, and FLUX."""
_ATTENTION_SETTINGS = ("cross_attention_kwargs", "joint_attention_kwargs")
"""What U-Nets, and transformers with joint attention, hand on to their attentions."""
_OF_A_PROMPT = ("pooled_projections", "encoder_attention_mask")
"""What transformers are told of a prompt besides its embedding."""


@dataclass(frozen=True)
class Pass:
    """A U-Net pass of a pipeline, which the passes of its references go before."""

    step: int
    """Denoising step, from 0."""
    timestep: Any
    conditions: Mapping[str, Any]
    """What the pipeline hands to the U-Net besides latents, timestep and prompt."""
    guided: bool
    """Whether the first half of the rows is unconditional."""

    @property
    def distinct(self) -> Hashable:
        """What features depend on in `conditions`."""
        added = self.conditions.get("added_cond_kwargs") or {}
        scales = [(self.conditions.get(name) or {}).get("scale") for name in _ATTENTION_SETTINGS]
        told = [self.conditions.get(name) for name in _GUIDANCE]
        return (
            *(None if added.get(n) is None else tuple(added[n][-1].tolist()) for n in _SIZES),
            *(None if one is None else tuple(one[0].flatten().tolist()) for one in told),
            *scales,
        )


def source_of(scheduler: Any, stride: int, passing: Pass) -> Pass:
    """Return the pass whose timestep references are given for a pass: the last of every `stride`.

    Itself where what a U-Net is shown does not follow from the step.
    """
    step = passing.step - passing.step % stride
    if step == passing.step or not _can_stand(scheduler, passing):
        return passing
    return replace(passing, step=step, timestep=scheduler.timesteps[step])


def passes_together(scheduler: Any, inputs: FeedbackInputs, passing: Pass) -> Sequence[Pass]:
    """Return the passes that a reference goes through in one batch, the given one among them.

    Which they are depends on the step and on `lean`, whether or not feedback acts at the others. A
    scheduler of second order scales its inputs by what it did before, so there each step is alone.
    """
    if not _can_stand(scheduler, passing) or inputs.noise not in ANY_STEP:
        return [passing]
    times = scheduler.timesteps
    several = steps_together(lean=inputs.lean) * inputs.stride
    first = passing.step - passing.step % several
    steps = range(first, min(first + several, len(times)), inputs.stride)
    return [replace(passing, step=step, timestep=times[step]) for step in steps]


def features_at(
    patch: UNetPatch,
    unet: Network,
    noised: Sequence[Float[Tensor, "1 channels height width"]],
    timesteps: Sequence[Any],
    null_embeds: Float[Tensor, "1 tokens embed"],
    **conditions: Any,
) -> list[Features]:
    """Return features at each of several timesteps, from one pass."""
    rows = len(noised)
    times = torch.stack([torch.as_tensor(t, device=noised[0].device) for t in timesteps])
    given = _for_rows({"encoder_hidden_states": null_embeds, **conditions}, rows)
    found = _captured(patch, unet, torch.cat(list(noised)), times, given)
    if rows == 1:
        return [tuple(found)]
    # Copies, so that one can be dropped without the others.
    return [tuple(hidden[row : row + 1].clone() for hidden in found) for row in range(rows)]


def features_of(
    patch: UNetPatch,
    unet: Network,
    noised: Float[Tensor, "1 channels height width"],
    timestep: Any,
    null_embeds: Float[Tensor, "1 tokens embed"],
) -> Features:
    """Return the hidden states before each self-attention of one pass."""
    given = {"encoder_hidden_states": null_embeds}
    return tuple(_captured(patch, unet, noised, timestep, given))


def _captured(
    patch: UNetPatch, unet: Network, noised: Tensor, times: Any, given: Mapping[str, Any]
) -> list[Tensor]:
    with patch.capturing() as captured:
        call(unet, noised, times, given)
    return [captured[index] for index in range(len(patch.layers))]


def _for_rows(given: Any, rows: int) -> Any:
    """Repeat what is given for one row, tensors within dicts and lists included."""
    if isinstance(given, Tensor):
        return given.expand(rows, *given.shape[1:])
    if isinstance(given, dict):
        return {name: _for_rows(value, rows) for name, value in given.items()}
    return [_for_rows(value, rows) for value in given] if isinstance(given, list) else given


def noised_input(
    scheduler: Any, reference: ReferenceLatent, inputs: FeedbackInputs, passing: Pass, channels: int
) -> Float[Tensor, "1 unet_channels height width"]:
    """Return what the U-Net is shown of a reference at a denoising step.

    A U-Net for inpainting is also shown a mask and what is left of the image: here nothing is
    masked.
    """
    clean = reference.latents
    noise = inputs.noise(reference.id, passing.step, clean.shape)
    t = torch.as_tensor(passing.timestep, device=clean.device)
    if _can_stand(scheduler, passing):
        scheduler = _standing_at(scheduler, passing.step)
    if hasattr(scheduler, "scale_noise"):  # flow matching
        return scheduler.scale_noise(clean, t.reshape(1), noise.to(clean))  # type: ignore[no-any-return]
    noised = scheduler.add_noise(clean, noise.to(clean), t.reshape(1))
    noised = scheduler.scale_model_input(noised, passing.timestep)
    if channels == 2 * clean.shape[1] + 1:
        return torch.cat([noised, torch.zeros_like(clean[:, :1]), clean], dim=1)
    return noised  # type: ignore[no-any-return]


def _can_stand(scheduler: Any, passing: Pass) -> bool:
    """Tell whether what a U-Net is shown at a pass follows from its step, whatever came before."""
    times, step = scheduler.timesteps, passing.step
    known = step < len(times) and bool(times[step] == passing.timestep)
    return known and scheduler.order == 1


def _standing_at(scheduler: Any, step: int) -> Any:
    """Return a scheduler that stands at a denoising step; the given one stays where it is.

    Some find the noise of a timestep by where they stand (`add_noise`, `scale_model_input`).
    """
    standing = copy.copy(scheduler)
    if hasattr(standing, "set_begin_index"):
        standing._step_index = None  # then it stands where it begins
        standing.set_begin_index(step)
    return standing


def reference_conditions(inputs: FeedbackInputs, passing: Pass) -> dict[str, Any]:
    """Return what goes with a reference where a pipeline hands more than a prompt to the network.

    Sizes (SDXL) and the guidance that is told to the network (LCM, FLUX) are those of the images;
    of an IP-Adapter's image there is nothing; a ControlNet's residuals are left out: they describe
    the image that is drawn.
    """
    given, found = passing.conditions, {}
    for name in _GUIDANCE:
        if given.get(name) is not None:
            found[name] = given[name][:1]
    for name in _ATTENTION_SETTINGS:
        if given.get(name):
            found[name] = {k: v for k, v in given[name].items() if k == "scale"}
    for name in _OF_A_PROMPT:
        if given.get(name) is not None and name in inputs.null_added:
            found[name] = inputs.null_added[name]
    added: dict[str, Any] = {}
    theirs = given.get("added_cond_kwargs") or {}
    if "time_ids" in theirs:
        added |= {**inputs.null_added, "time_ids": theirs["time_ids"][-1:]}
    for name in _SIZES[1:]:
        if name in theirs:
            added[name] = None if theirs[name] is None else theirs[name][-1:]
    if "image_embeds" in theirs:
        added["image_embeds"] = [_no_image(e, passing.guided) for e in theirs["image_embeds"]]
    if added:
        found["added_cond_kwargs"] = added
    return found


def _no_image(embeds: Tensor, guided: bool) -> Tensor:
    """Return an IP-Adapter's embedding of no image: that of an unconditional row, or zeros."""
    return embeds[:1] if guided else torch.zeros_like(embeds[:1])
