"""`FabricSampler`: an action, a prompt and seeds become images."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from inspect import signature
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from fabricbo.protocols import Drawing, Environment
from fabricbo.records import Action, FabricParams
from fabricbo.sampler.batches import (
    StepCallback,
    asked_prompts,
    by_drawing,
    part_of,
    parted,
    prompts_of,
)
from fabricbo.sampler.decoding import Undecoded, can_decode
from fabricbo.sampler.environment import environment_of
from fabricbo.sampler.features import FeatureCache
from fabricbo.sampler.feedback import (
    check_levels,
    check_merging,
    check_network,
    shared_feedback,
)
from fabricbo.sampler.inputs import FeedbackInputs, ReferenceLatent, Share
from fabricbo.sampler.memory import Ask, MemoryPlan, Wish, feature_sizes, plan_within
from fabricbo.sampler.networks import (
    is_transformer,
    network_of,
    parts_guidance,
    size_multiple,
    told_besides,
)
from fabricbo.sampler.options import NOISES, SamplerOptions
from fabricbo.sampler.previews import Previews, check_decoder, previewing
from fabricbo.sampler.references import ReferenceEncoder


class FabricSampler:
    """Draws images with a loaded Stable Diffusion pipeline; remembers reference features.

    Without references, or where all weights are 0, it is the stock pipeline, bit for bit. Each
    image has a random generator of its own, so that its seed gives the same image alone or in
    a batch, up to rounding; the same call gives the same images bit for bit on one machine.
    """

    def __init__(
        self,
        pipeline: Any,
        options: SamplerOptions | None = None,
        *,
        previews: Previews | None = None,
    ) -> None:
        """Wrap a pipeline.

        Args:
            pipeline: diffusers' `StableDiffusionPipeline`, or one that takes the same arguments, as
                `StableDiffusion3Pipeline` does; or `FluxPipeline`.
            options: what is common to all images.
            previews: who is shown images while they are drawn; None: nobody.

        Raises:
            ValueError: the pipeline takes other arguments, its network needs added conditions of a
                kind that this version does not give, has no self-attention at one of the levels,
                cannot have its references' tokens merged, or is a transformer and memory is
                bounded, the size cannot be drawn, or the previews' decoder is for other latents.
        """
        self.network = network_of(pipeline)
        check_network(self.network)
        check_arguments(pipeline)
        if options is not None and options.max_memory is not None and is_transformer(self.network):
            raise ValueError("max_memory is computed for U-Nets only, and this is a transformer")
        if previews is not None:
            check_decoder(previews.decoder, pipeline)
        self.previews = previews
        if options is not None and options.feedback_levels is not None:
            check_levels(self.network, options.feedback_levels)
        self.pipeline = pipeline
        self.options = options or SamplerOptions()
        if self.options.merge_tokens > 0:
            check_merging(self.network)
        check_size(self.size, size_multiple(self.network) * pipeline.vae_scale_factor)
        self.cache = FeatureCache(self.options.cache_bytes, self.options.host_cache_bytes)
        self._vae_lock = Lock()
        self._encoder = ReferenceEncoder(pipeline.vae, self.options.reference_fit)

    @cached_property
    def environment(self) -> Environment:
        """What its images depend on besides the call; takes seconds for large networks, once."""
        return environment_of(self.pipeline)

    def __call__(
        self,
        action: Action,
        prompt: str | Sequence[str],
        seeds: Sequence[int],
        *,
        on_step: StepCallback | None = None,
    ) -> list[Image.Image]:
        """Draw one image for each seed.

        Args:
            action: settings and references.
            prompt: one for all images, or one for each.
            seeds: at least 0, below 2**63.
            on_step: told about progress; what it raises stops the drawing.

        Raises:
            ValueError: no seed, not as many prompts as seeds, or `rescale` with a pipeline that
                cannot.
        """
        (images,) = self.together([Drawing(action, prompt, seeds)], on_step=on_step)
        return images

    @property
    def counts(self) -> Mapping[str, int]:
        """How often features of a reference were found, fetched from the host, computed."""
        use = self.cache.use
        return {
            "features_found": use.hits,
            "features_fetched": use.fetched,
            "features_computed": use.misses,
        }

    @torch.no_grad()
    def together(
        self, drawings: Sequence[Drawing], *, on_step: StepCallback | None = None
    ) -> list[list[Image.Image]]:
        """Draw images of several actions in one batch: the same as one by one, up to rounding.

        Args:
            drawings: at least one, of the same guidance scale, rescale and number of denoising
                steps.
            on_step: as for a single one.

        Raises:
            ValueError: they differ in these, or as for a single one.
        """
        parts = self._in_batches(drawings, on_step, "pil")
        return by_drawing(drawings, [image for part in parts for image in part])

    @torch.no_grad()
    def begin(
        self, drawings: Sequence[Drawing], *, on_step: StepCallback | None = None
    ) -> Callable[[], list[list[Image.Image]]]:
        """Draw as `together` does, up to decoding, which another thread can do meanwhile.

        Args:
            drawings: as for `together`.
            on_step: as for `together`.

        Returns:
            What decodes and returns the images; they are those of `together`.

        Raises:
            ValueError: as for `together`.
        """
        if not can_decode(self.pipeline):
            images = self.together(drawings, on_step=on_step)
            return lambda: images
        latents = self._in_batches(drawings, on_step, "latent")
        undecoded = Undecoded.of(self.pipeline, latents, self._vae_lock)
        return lambda: by_drawing(drawings, undecoded.images())

    def _in_batches(
        self, drawings: Sequence[Drawing], on_step: StepCallback | None, kind: str
    ) -> list[Any]:
        """Return what the pipeline makes of each batch: a list of images, or latents."""
        if drawings[0].action.params.rescale:
            check_rescale(self.pipeline)
        lean, images_at_once = self._plan(drawings)
        batches = parted(drawings, images_at_once)
        calls = [part_of(on_step, number, len(batches)) for number in range(len(batches))]
        return [
            self._draw(batch, call, kind, lean=lean)
            for batch, call in zip(batches, calls, strict=True)
        ]

    def check_memory(self, liked: int, disliked: int) -> None:
        """Check that so many references can be given within `max_memory`, few images at once.

        Raises:
            ValueError: they cannot; says the least that is needed.
        """
        if self.options.max_memory is not None:
            images = self.options.images_at_once or 1
            self._planned(self.options.max_memory, [Ask(images, liked, disliked)], 0)

    def _plan(self, drawings: Sequence[Drawing]) -> tuple[bool, int | None]:
        """Return `lean` and `images_at_once`; from now on the cache keeps to `max_memory`."""
        if self.options.max_memory is None:
            return self.options.lean, self.options.images_at_once
        actions = [drawing.action for drawing in drawings]
        met = {reference.id for one in actions for reference in (*one.liked, *one.disliked)}
        asks = [
            Ask(
                len(asked_prompts(drawing)), len(drawing.action.liked), len(drawing.action.disliked)
            )
            for drawing in drawings
        ]
        steps = actions[0].params.denoising_steps
        features = len(met) * math.ceil(steps / self.options.reference_stride)
        plan = self._planned(self.options.max_memory, asks, features)
        self.cache.resize(plan.cache_bytes)
        return plan.lean, plan.images_at_once

    def _planned(self, bound: int, asks: Sequence[Ask], features: int) -> MemoryPlan:
        options, scale = self.options, self.pipeline.vae_scale_factor
        width, height = self.size
        latent_size = height // scale, width // scale
        levels, merge = options.feedback_levels, options.merge_tokens
        sizes = feature_sizes(self.network, latent_size, levels, merge)
        wish = Wish(options.cache_bytes, options.lean, options.images_at_once)
        return plan_within(bound, sizes, asks, features, wish)

    def _draw(
        self, drawings: Sequence[Drawing], on_step: StepCallback | None, kind: str, *, lean: bool
    ) -> Any:
        """Draw in one batch."""
        prompts = [prompt for drawing in drawings for prompt in prompts_of(drawing)]
        seeds = [seed for drawing in drawings for seed in drawing.seeds]
        negative = self.options.negative_prompt
        # FLUX's pipeline has an unconditional pass only where it is given a negative prompt.
        says_negative = bool(negative) or parts_guidance(self.network)
        inputs = [self._inputs(drawing.action, lean=lean) for drawing in drawings]
        shares = [
            Share(len(drawing.seeds), drawing.action.params, given)
            for drawing, given in zip(drawings, inputs, strict=True)
        ]
        guidance = drawings[0].action.params.guidance_scale
        with (
            shared_feedback(self.network, self.pipeline.scheduler, shares),
            previewing(self.pipeline, self.previews, guidance),
        ):
            output = self.pipeline(
                prompt=prompts,
                negative_prompt=[negative] * len(prompts) if says_negative else None,
                width=self.size[0],
                height=self.size[1],
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                **self._pipeline_settings(drawings[0].action.params),
                callback_on_step_end=_step_callback(on_step),
                output_type=kind,
            )
        return output.images

    def _pipeline_settings(self, params: FabricParams) -> dict[str, float]:
        settings: dict[str, float] = {"num_inference_steps": params.denoising_steps}
        if parts_guidance(self.network):
            settings["true_cfg_scale"] = params.guidance_scale
            settings["guidance_scale"] = self.options.distilled_guidance
        else:
            settings["guidance_scale"] = params.guidance_scale
        # Not all pipelines know it, and none needs to where it is off.
        return {**settings, "guidance_rescale": params.rescale} if params.rescale else settings

    def embed(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Return what images look like from afar: VAE latents averaged over 4 x 4 tiles, `n x d`.

        For telling which references are alike where no better embedding is at hand.
        """
        with self._vae_lock:
            latents = torch.cat([self._encoder.latents(image, *self.size) for image in images])
        tiles: npt.NDArray[np.float32]
        tiles = adaptive_avg_pool2d(latents.float(), 4).flatten(1).cpu().numpy()
        return tiles

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images, in pixels."""
        known = getattr(self.network.config, "sample_size", None)
        sample = known or self.pipeline.default_sample_size
        rows, columns = (sample, sample) if isinstance(sample, int) else sample
        scale = self.pipeline.vae_scale_factor
        return self.options.width or columns * scale, self.options.height or rows * scale

    def _inputs(self, action: Action, *, lean: bool) -> FeedbackInputs:
        with self._vae_lock:
            liked, disliked = (
                self._encoder(those, *self.size) for those in (action.liked, action.disliked)
            )
        return FeedbackInputs(
            null_embeds=self.null_embeds,
            liked=_with_strengths(liked, action),
            disliked=_with_strengths(disliked, action),
            noise=NOISES[self.options.reference_noise],
            cache=self.cache,
            null_added=self.null_added,
            levels=None
            if self.options.feedback_levels is None
            else frozenset(self.options.feedback_levels),
            lean=lean,
            merge=self.options.merge_tokens,
            stride=self.options.reference_stride,
        )

    @property
    def null_embeds(self) -> Tensor:
        """Embedding of the empty prompt, `1 tokens embed`."""
        return self._null_prompt[0]

    @property
    def null_added(self) -> Mapping[str, Tensor]:
        """Added conditions of the empty prompt (SDXL and transformers), `1 channels` each."""
        return self._null_prompt[1]

    @cached_property
    def _null_prompt(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The empty prompt, as the pipeline itself gives it to the unconditional pass."""
        given = {
            **_empty_prompts(self.pipeline),
            "device": self.pipeline._execution_device,
            "num_images_per_prompt": 1,
        }
        if parts_guidance(self.network):  # what it gives to the unconditional pass, too
            embeds, pooled, _ = self.pipeline.encode_prompt(**given)
            return embeds, {told_besides(self.network): pooled}
        found = self.pipeline.encode_prompt(**given, do_classifier_free_guidance=True)
        _, embeds, *more = found
        return embeds, {told_besides(self.network): more[1]} if more else {}


def _with_strengths(
    references: tuple[ReferenceLatent, ...], action: Action
) -> tuple[ReferenceLatent, ...]:
    return tuple(replace(r, strength=action.strengths.get(r.id, 1.0)) for r in references)


def _empty_prompts(pipeline: Any) -> dict[str, str]:
    """Return an empty prompt for each text encoder that has to be given one of its own."""
    known = signature(pipeline.encode_prompt).parameters.values()
    own = [one.name for one in known if one.name.startswith("prompt_") and one.default is one.empty]
    return dict.fromkeys(["prompt", *own], "")


def check_arguments(pipeline: Any) -> None:
    """Check that a pipeline takes what `FabricSampler` hands to it.

    Raises:
        ValueError: it does not.
    """
    known = signature(pipeline.__call__).parameters
    if "callback" in known and "callback_on_step_end" not in known:
        raise ValueError(
            f"FabricSampler cannot call {type(pipeline).__name__}, whose callback is of diffusers' "
            "older kind; call it within fabricbo.sampler.feedback"
        )


def check_rescale(pipeline: Any) -> None:
    """Check that a pipeline knows `rescale`.

    Raises:
        ValueError: it does not.
    """
    if "guidance_rescale" not in signature(pipeline.__call__).parameters:
        raise ValueError(
            f"rescale needs a pipeline that takes guidance_rescale, and {type(pipeline).__name__} "
            "does not; leave it out"
        )


def check_size(size: tuple[int, int], multiple: int) -> None:
    """Check that images of a size, in pixels, can be drawn.

    Raises:
        ValueError: width or height is no multiple of what it must be.
    """
    if any(side % multiple for side in size):
        raise ValueError(f"width and height must be multiples of {multiple} pixels, got {size}")


def _step_callback(on_step: StepCallback | None) -> Any:
    """Translate diffusers' callback; None stays None, so that nothing is called for nothing."""
    if on_step is None:
        return None

    def callback(
        pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        on_step(step + 1, pipeline.num_timesteps)
        return tensors

    return callback
