"""FABRIC on a network: `guided_noise` for one evaluation of a U-Net, `feedback` around a whole
pipeline call of a U-Net or transformer.

Method: arXiv 2307.10159, section 3 and algorithm 1. References are noised to the current
timestep, run through the network with an empty prompt, and their hidden states before every
self-attention become extra tokens: liked ones in the conditional pass, disliked ones in
the unconditional pass. Without guidance there is no such pass, and attention is pushed away from
disliked ones (`attention.attention_both_ways`).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from diffusers import FluxTransformer2DModel, SchedulerMixin, UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor

from fabricbo.records import FabricParams
from fabricbo.sampler.hook import FeedbackHook
from fabricbo.sampler.inputs import FeedbackInputs, Share
from fabricbo.sampler.networks import Network, check_known
from fabricbo.sampler.reference_pass import features_of
from fabricbo.sampler.schedule import WeightPair, level_weights
from fabricbo.sampler.surgery import Injection, levels_of, patched


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
                features_of(patch, unet, noised[i : i + 1], timestep, null_embeds)
                for i in range(used)
            ]
            levels = level_weights(weights, len(unet.down_blocks))
            return Injection(rows, features, [levels] * used)

        liked = injection(slice(0, images), liked_noised, liked_weights)
        disliked = injection(slice(images, 2 * images), disliked_noised, disliked_weights)
        with patch.injecting([i for i in (liked, disliked) if i.features]):
            embeds = torch.cat([cond_embeds, uncond_embeds])
            noise = unet(torch.cat([latents, latents]), timestep, embeds, return_dict=False)[0]
    return noise[:images], noise[images:]


@contextmanager
def feedback(
    unet: Network,
    scheduler: SchedulerMixin,
    params: FabricParams,
    inputs: FeedbackInputs,
) -> Iterator[None]:
    """Give every pipeline that drives a network with `scheduler` feedback inside the `with`.

    The pipeline must be called with `params.guidance_scale` and `params.denoising_steps`, and with
    `params.rescale` as its `guidance_rescale` where that is not 0; it batches as diffusers does,
    unconditional rows first, or without them when guidance is off. FLUX's is called with
    `params.guidance_scale` as its `true_cfg_scale` and with a negative prompt, which may be empty;
    its own `guidance_scale`, which the transformer is told, is another matter.
    On leaving, also by an exception, the network has the very processors it had before.

    Args:
        unet: the U-Net (`pipeline.unet`), or a transformer of PixArt, Stable Diffusion 3 or FLUX.1
            (`pipeline.transformer`), which has only the outermost level.

    Raises:
        ValueError: the network is of another kind, needs added conditions that are not given, has
            no self-attention at one of `inputs.levels`, or tokens are to be merged in FLUX. While
            it is driven: a reference has another size than the images, in FLUX.
    """
    with shared_feedback(unet, scheduler, [Share(None, params, inputs)]):
        yield


@contextmanager
def shared_feedback(
    unet: Network, scheduler: SchedulerMixin, shares: Sequence[Share]
) -> Iterator[None]:
    """Give the images of one batch different feedback: weights, windows, references.

    Otherwise as `feedback`.

    Args:
        shares: at least one, in the order of the images in the batch.

    Raises:
        ValueError: guidance, its rescaling, denoising steps, `levels`, `lean`, `merge` or `stride`
            differ, or as for `feedback`.
    """
    for share in shares:
        check_network(unet, share.inputs)
    if len({share.params.batch_settings for share in shares}) != 1:
        raise ValueError("images of one batch need one guidance scale, rescale and number of steps")
    if len({share.inputs.way for share in shares}) != 1:
        raise ValueError("images of one batch need the same levels, lean, merge and stride")
    given = shares[0].inputs
    with patched(unet, given.levels) as patch:
        patch.lean = given.lean
        hook = FeedbackHook(patch, unet, scheduler, shares)
        before = unet.register_forward_pre_hook(hook.before, with_kwargs=True)
        after = unet.register_forward_hook(hook.after, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()


def check_network(network: Network, inputs: FeedbackInputs | None = None) -> None:
    """Check that feedback can be given to a network, and that the inputs hold what it needs.

    Raises:
        ValueError: it is of another kind, needs added conditions that are not given, has no
            self-attention at one of the levels, or tokens are to be merged in FLUX.
    """
    check_known(network, None if inputs is None else inputs.null_added)
    if inputs is not None and inputs.merge > 0:
        check_merging(network)
    if inputs is not None and inputs.levels is not None:
        check_levels(network, inputs.levels)


def check_merging(network: Network) -> None:
    """Check that tokens of references can be merged.

    Raises:
        ValueError: places enter the network's attentions, and merged tokens have none.
    """
    if isinstance(network, FluxTransformer2DModel):
        raise ValueError("tokens of references cannot be merged in FLUX, where each has its place")


def check_levels(network: Network, levels: Collection[int]) -> None:
    """Check that feedback can act at certain levels of a network.

    Raises:
        ValueError: there are none, or one has no self-attention.
    """
    known = levels_of(network)
    if not levels or not known.issuperset(levels):
        raise ValueError(
            f"feedback can act at levels {sorted(known)} of this network, got {sorted(levels)}"
        )
