"""FABRIC on a U-Net: `guided_noise` for one evaluation, `feedback` around a whole pipeline call.

Method: arXiv 2307.10159, section 3 and algorithm 1. References are noised to the current
timestep, run through the U-Net with an empty prompt, and their hidden states before every
self-attention become extra tokens: liked ones in the conditional pass, disliked ones in
the unconditional pass.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor

from fabricbo.records import FabricParams
from fabricbo.sampler.features import FeatureCache
from fabricbo.sampler.noise import ReferenceNoise, fixed_noise
from fabricbo.sampler.schedule import (
    WeightPair,
    disliked_pair,
    feedback_weight,
    level_weights,
    liked_pair,
)
from fabricbo.sampler.surgery import Features, Injection, UNetPatch, patched


@torch.no_grad()
def guided_noise(
    unet: UNet2DConditionModel,
    latents: Float[Tensor, "batch channels height width"],
    timestep: Int[Tensor, ""] | Float[Tensor, ""] | float | int,
    *,
    cond_embeds: Float[Tensor, "batch tokens embed"],
    uncond_embeds: Float[Tensor, "batch tokens embed"],
    null_embeds: Float[Tensor, "1 null_tokens embed"],
    liked_noised: Float[Tensor, "liked channels ref_height ref_width"],
    disliked_noised: Float[Tensor, "disliked channels ref_height ref_width"],
    liked_weights: WeightPair,
    disliked_weights: WeightPair,
) -> tuple[Tensor, Tensor]:
    """Evaluate a U-Net once with feedback.

    Args:
        latents: scaled for the U-Net (`scheduler.scale_model_input`), one an image.
        timestep: common to latents and references.
        cond_embeds: prompt embeddings, one an image.
        uncond_embeds: negative prompt embeddings, one an image.
        null_embeds: embedding of the empty prompt, for the references.
        liked_noised: latents of liked references, already noised to `timestep` and scaled; may
            be empty (first dimension 0).
        disliked_noised: the same for disliked references.
        liked_weights: feedback weights of liked references at the outermost U-Net level and at
            the bottleneck, at least 0; 0 leaves them out.
        disliked_weights: the same for disliked references.

    Returns:
        Predictions of the conditional and the unconditional pass, each shaped like `latents`.
    """
    images = latents.shape[0]
    with patched(unet) as patch:

        def injection(rows: slice, noised: Tensor, weights: WeightPair) -> Injection:
            used = len(noised) if max(weights) > 0 else 0
            features = [
                _features(patch, unet, noised[i : i + 1], timestep, null_embeds)
                for i in range(used)
            ]
            return Injection(rows, features, level_weights(weights, len(unet.down_blocks)))

        liked = injection(slice(0, images), liked_noised, liked_weights)
        disliked = injection(slice(images, 2 * images), disliked_noised, disliked_weights)
        with patch.injecting([i for i in (liked, disliked) if i.features]):
            embeds = torch.cat([cond_embeds, uncond_embeds])
            noise = unet(torch.cat([latents, latents]), timestep, embeds, return_dict=False)[0]
    return noise[:images], noise[images:]


@dataclass(frozen=True)
class ReferenceLatent:
    """A reference as the U-Net sees it."""

    id: str
    latents: Float[Tensor, "1 channels height width"]
    """Clean, scaled by the VAE's scaling factor."""


@dataclass(frozen=True)
class FeedbackInputs:
    """What `feedback` needs to know of the references."""

    null_embeds: Float[Tensor, "1 tokens embed"]
    """Embedding of the empty prompt."""
    liked: tuple[ReferenceLatent, ...] = ()
    disliked: tuple[ReferenceLatent, ...] = ()
    noise: ReferenceNoise = fixed_noise
    cache: FeatureCache = field(default_factory=FeatureCache)
    """Belongs to the checkpoint; share it between calls."""


@contextmanager
def feedback(
    unet: UNet2DConditionModel,
    scheduler: SchedulerMixin,
    params: FabricParams,
    inputs: FeedbackInputs,
) -> Iterator[None]:
    """Give every pipeline that drives `unet` with `scheduler` feedback inside the `with`.

    The pipeline must be called with `params.guidance_scale` and `params.denoising_steps`; it
    batches as diffusers does, unconditional rows first, or without them when guidance is off.
    On leaving, also by an exception, the U-Net has the very processors it had before.

    Raises:
        ValueError: the U-Net needs added conditions (SDXL), which this version does not give.
    """
    check_unet(unet)
    with patched(unet) as patch:
        hook = _FeedbackHook(patch, unet, scheduler, params, inputs)
        before = unet.register_forward_pre_hook(hook.before, with_kwargs=True)
        after = unet.register_forward_hook(hook.after, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()


def check_unet(unet: UNet2DConditionModel) -> None:
    """Check that feedback can be given to a U-Net.

    Raises:
        ValueError: it needs added conditions (SDXL), which this version does not give.
    """
    if unet.config.addition_embed_type is not None:
        raise ValueError(
            "feedback works on Stable Diffusion 1.x and 2.x; this U-Net needs added conditions "
            f"of type {unet.config.addition_embed_type!r} (SDXL), which is not supported yet"
        )


class _FeedbackHook:
    """Decides before each U-Net pass what is injected, and counts the denoising steps."""

    def __init__(
        self,
        patch: UNetPatch,
        unet: UNet2DConditionModel,
        scheduler: Any,
        params: FabricParams,
        inputs: FeedbackInputs,
    ) -> None:
        self._patch = patch
        self._unet = unet
        self._scheduler = scheduler
        self._params = params
        self._inputs = inputs
        self._guided = params.guidance_scale > 1 and unet.config.time_cond_proj_dim is None
        self._in_reference_pass = False
        self._timesteps: Tensor | None = None
        self._step = -1
        self._schedule = ""

    def before(self, _unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._in_reference_pass:
            return
        self._count()
        steps = len(self._scheduler.timesteps)
        weight = feedback_weight(self._step, steps, self._params)
        if weight > 0:
            sample = args[0] if args else kwargs["sample"]
            timestep = args[1] if len(args) > 1 else kwargs["timestep"]
            extra = {"timestep_cond": kwargs.get("timestep_cond")}
            self._patch.injections = self._injections(weight, sample, timestep, extra)

    def after(self, *_: Any) -> None:
        if not self._in_reference_pass:
            self._patch.injections = ()

    def _count(self) -> None:
        """Count passes; `set_timesteps` makes a new tensor, which tells where a run begins."""
        if self._timesteps is not self._scheduler.timesteps:
            self._timesteps = self._scheduler.timesteps
            self._step = (getattr(self._scheduler, "begin_index", None) or 0) - 1
            self._schedule = _schedule_name(self._scheduler)
        self._step += 1

    def _injections(
        self, weight: float, sample: Tensor, timestep: Any, extra: Mapping[str, Any]
    ) -> Sequence[Injection]:
        rows = sample.shape[0]
        images = rows // 2 if self._guided else rows
        liked, disliked = liked_pair(weight, self._params), disliked_pair(weight, self._params)
        groups = [(slice(rows - images, rows), self._inputs.liked, liked)]
        if self._guided:
            groups.append((slice(0, images), self._inputs.disliked, disliked))
        levels = len(self._unet.down_blocks)
        return [
            Injection(
                group_rows,
                [self._features(reference, timestep, extra) for reference in references],
                level_weights(pair, levels),
            )
            for group_rows, references, pair in groups
            if references and max(pair) > 0
        ]

    def _features(
        self, reference: ReferenceLatent, timestep: Any, extra: Mapping[str, Any]
    ) -> Features:
        # The noise function is part of the key by identity: fixed and fresh never mix.
        key = (
            *(reference.id, reference.latents.shape, self._inputs.noise),
            *(self._schedule, self._step),
        )
        return self._inputs.cache.get(key, lambda: self._compute(reference, timestep, extra))

    def _compute(
        self, reference: ReferenceLatent, timestep: Any, extra: Mapping[str, Any]
    ) -> Features:
        """Run one reference alone, so that its features do not depend on what it is run with."""
        clean = reference.latents
        noise = self._inputs.noise(reference.id, self._step, clean.shape)
        t = torch.as_tensor(timestep, device=clean.device)
        noised = self._scheduler.add_noise(clean, noise.to(clean), t.reshape(1))
        noised = self._scheduler.scale_model_input(noised, timestep)
        condition = {k: v if v is None else v[:1] for k, v in extra.items()}
        self._in_reference_pass = True
        try:
            return _features(
                self._patch, self._unet, noised, timestep, self._inputs.null_embeds, **condition
            )
        finally:
            self._in_reference_pass = False


def _schedule_name(scheduler: Any) -> str:
    """Name all that decides how a reference is noised at a denoising step."""
    config = json.dumps(dict(scheduler.config), sort_keys=True, default=str)
    return f"{type(scheduler).__name__} {len(scheduler.timesteps)} {config}"


def _features(
    patch: UNetPatch,
    unet: UNet2DConditionModel,
    noised: Float[Tensor, "1 channels height width"],
    timestep: Any,
    null_embeds: Float[Tensor, "1 tokens embed"],
    **condition: Any,
) -> Features:
    with patch.capturing() as captured:
        unet(noised, timestep, null_embeds, return_dict=False, **condition)
        return tuple(captured[index] for index in range(len(patch.layers)))
