"""Feedback in FLUX.1: its pipeline against feedback written out plainly."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from fabricbo.records import FabricParams
from fabricbo.sampler import FeatureCache, FeedbackInputs, ReferenceLatent, feedback
from fabricbo.sampler.feedback import shared_feedback
from fabricbo.sampler.flux import coordinates, packed
from fabricbo.sampler.inputs import Share
from fabricbo.sampler.networks import check_known
from fabricbo.sampler.noise import fixed_noise
from tests import flux_oracle
from tests.test_transformers import STEPS, TOKENS, apart, numbers
from tests.tiny_transformers import tiny_flux

GUIDANCE = 3.0
PARAMS = FabricParams(
    feedback_start=0.0,
    feedback_end=0.75,
    max_weight=0.9,
    neg_scale=1.0,
    guidance_scale=GUIDANCE,
    denoising_steps=STEPS,
)


NULL = numbers(4, 1, 3, 12)
POOLED = numbers(7, 1, 10)


@pytest.fixture(scope="module", params=[True, False], ids=["dev", "schnell"])
def pipeline(request: pytest.FixtureRequest) -> Any:
    return tiny_flux(told_guidance=request.param)


def draw(
    pipeline: Any,
    guidance: float = GUIDANCE,
    size: tuple[int, int] = (8, 8),
    dtype: torch.dtype = torch.float32,
    **more: Any,
) -> np.ndarray:
    embeds: dict[str, Any] = {
        "prompt_embeds": numbers(1, 2, TOKENS, 12).to(dtype),
        "pooled_prompt_embeds": numbers(5, 2, 10).to(dtype),
        "negative_prompt_embeds": numbers(2, 1, TOKENS, 12).expand(2, -1, -1).to(dtype),
        "negative_pooled_prompt_embeds": numbers(6, 1, 10).expand(2, -1).to(dtype),
    }
    found = pipeline(
        true_cfg_scale=guidance,
        generator=[torch.Generator().manual_seed(seed) for seed in (1, 2)],
        num_inference_steps=STEPS,
        height=4 * size[0],
        width=4 * size[1],
        output_type="latent",
        **{**embeds, **more},
    )
    return found.images.float().numpy()


def references(*seeds: int, size: tuple[int, int] = (8, 8)) -> tuple[ReferenceLatent, ...]:
    return tuple(ReferenceLatent(f"r{seed}", numbers(seed, 1, 4, *size)) for seed in seeds)


def inputs(**changes: Any) -> FeedbackInputs:
    given = FeedbackInputs(
        NULL,
        liked=references(11, 12),
        disliked=references(13),
        null_added={"pooled_projections": POOLED},
    )
    return replace(given, **changes)


def ours(
    pipeline: Any, given: FeedbackInputs, params: FabricParams = PARAMS, **more: Any
) -> np.ndarray:
    with feedback(pipeline.transformer, pipeline.scheduler, params, given):
        return draw(pipeline, params.guidance_scale, **more)


def noised(reference: ReferenceLatent) -> Callable[[int, Tensor], Tensor]:
    def make(step: int, timestep: Tensor) -> Tensor:
        noise = fixed_noise(reference.id, step, tuple(reference.latents.shape))
        return torch.lerp(reference.latents, noise, timestep / 1000)

    return make


def written_out(
    pipeline: Any, told: float, inputs: FeedbackInputs, guidance: float = GUIDANCE, **size: Any
) -> np.ndarray:
    given: dict[str, Any] = {"encoder_hidden_states": NULL, "pooled_projections": POOLED}
    if pipeline.transformer.config.guidance_embeds:
        given["guidance"] = torch.tensor([told])
    with (
        torch.no_grad(),
        flux_oracle.plain_feedback(
            pipeline.transformer,
            liked=[noised(r) for r in inputs.liked],
            disliked=[noised(r) for r in inputs.disliked],
            weight=lambda step: 0.9 if step <= round(STEPS * 0.75) else 0.0,
            given=given,
            timesteps=lambda: pipeline.scheduler.timesteps,
            guided=guidance > 1,
            **size,
        ),
    ):
        return draw(pipeline, guidance, guidance_scale=told, **size)


def test_equals_feedback_written_out(pipeline: Any) -> None:
    given = inputs()
    found = ours(pipeline, given, guidance_scale=2.5)
    assert apart(found, written_out(pipeline, 2.5, given)) < 1e-5
    assert apart(found, draw(pipeline, guidance_scale=2.5)) > 1e-3
    assert np.array_equal(ours(pipeline, given, guidance_scale=2.5), found)  # now from the cache
    assert given.cache.use.hits == given.cache.use.misses
    uncached = replace(given, cache=FeatureCache(0))
    assert np.array_equal(ours(pipeline, uncached, guidance_scale=2.5), found)
    assert apart(ours(pipeline, replace(given, lean=True), guidance_scale=2.5), found) < 1e-5


def test_what_the_transformer_is_told_of_guidance_is_told_with_references() -> None:
    dev, given = tiny_flux(), inputs()
    ours(dev, given, guidance_scale=2.5)
    found = ours(dev, given, guidance_scale=7.0)  # nothing of the other is taken
    assert apart(found, written_out(dev, 7.0, given)) < 1e-5


def test_weight_zero_is_the_stock_pipeline_bit_for_bit(pipeline: Any) -> None:
    assert np.array_equal(ours(pipeline, inputs(), replace(PARAMS, max_weight=0.0)), draw(pipeline))


def test_leaving_restores_the_very_processors(pipeline: Any) -> None:
    attentions = [m for m in pipeline.transformer.modules() if hasattr(m, "set_processor")]
    before = [one.processor for one in attentions]
    ours(pipeline, inputs())
    assert all(a.processor is b for a, b in zip(attentions, before, strict=True))


@pytest.mark.parametrize("role", ["liked", "disliked"])
def test_each_role_acts_in_its_own_pass(pipeline: Any, role: str) -> None:
    predicted: list[Tensor] = []
    hook = pipeline.transformer.register_forward_hook(
        lambda _module, _args, output: predicted.append(output[0])
    )
    draw(pipeline)
    plain = predicted[:2]
    predicted.clear()
    other = "disliked" if role == "liked" else "liked"
    ours(pipeline, inputs(**{other: ()}))
    hook.remove()
    conditional, unconditional = (
        apart(found.numpy(), expected.numpy())
        for found, expected in zip(predicted, plain, strict=False)
    )
    changed, same = (
        (conditional, unconditional) if role == "liked" else (unconditional, conditional)
    )
    assert changed > 1e-3
    assert same == 0


@pytest.mark.parametrize("guidance", [GUIDANCE, 1.0])
def test_other_shapes_and_no_guidance_equal_feedback_written_out(guidance: float) -> None:
    dev, size = tiny_flux(), (4, 8)
    given = inputs(liked=references(11, 12, size=size), disliked=references(13, size=size))
    params = replace(PARAMS, guidance_scale=guidance)
    found = ours(dev, given, params, size=size, guidance_scale=2.5)
    assert apart(found, written_out(dev, 2.5, given, guidance, size=size)) < 1e-5
    assert apart(found, draw(dev, guidance, size=size, guidance_scale=2.5)) > 1e-3


@pytest.mark.parametrize("guidance", [GUIDANCE, 1.0])
def test_steps_are_known_in_half_precision_too(guidance: float) -> None:
    """The transformer is told timesteps as they are rounded."""
    half = tiny_flux()
    half.transformer.to(torch.bfloat16)
    given = inputs(
        null_embeds=NULL.bfloat16(),
        null_added={"pooled_projections": POOLED.bfloat16()},
        liked=tuple(replace(r, latents=r.latents.bfloat16()) for r in references(11)),
        disliked=(),
        stride=2,
    )
    params = replace(PARAMS, guidance_scale=guidance, feedback_end=1.0)
    with feedback(half.transformer, half.scheduler, params, given):
        draw(half, guidance, dtype=torch.bfloat16)
    assert given.cache.use.misses == STEPS / 2  # a pass of the reference for two steps


def test_without_guidance_attention_is_pushed_away_from_what_is_disliked(pipeline: Any) -> None:
    off = replace(PARAMS, guidance_scale=1.0)
    found, plain = ours(pipeline, inputs(), off), draw(pipeline, 1.0)
    assert apart(found, ours(pipeline, inputs(disliked=()), off)) > 1e-3
    disliked = references(13)
    toward = ours(pipeline, inputs(liked=disliked, disliked=()), off)
    away = ours(pipeline, inputs(liked=(), disliked=disliked), off)
    assert np.vdot(toward - plain, away - plain) < 0
    # A reference that is liked and disliked at once is as none.
    both = ours(pipeline, inputs(liked=disliked, disliked=disliked), off)
    assert apart(both, plain) < 1e-5
    lean = ours(pipeline, inputs(lean=True), off)
    assert apart(lean, found) < 1e-5


def test_a_negative_prompt_left_out_is_no_second_pass(pipeline: Any) -> None:
    nothing = {"negative_prompt_embeds": None, "negative_pooled_prompt_embeds": None}
    with feedback(pipeline.transformer, pipeline.scheduler, PARAMS, inputs()):
        found = draw(pipeline, **nothing)
    off = replace(PARAMS, guidance_scale=1.0)
    assert np.array_equal(found, ours(pipeline, inputs(disliked=()), off))


def test_image_to_image_begins_at_a_later_step() -> None:
    pipeline = diffusers.FluxImg2ImgPipeline(**tiny_flux().components)
    pipeline.set_progress_bar_config(disable=True)
    more = {"image": torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))}
    plain = draw(pipeline, strength=0.5, **more)
    early = replace(PARAMS, feedback_end=0.25)  # over before it begins
    assert np.array_equal(ours(pipeline, inputs(), early, strength=0.5, **more), plain)
    assert apart(ours(pipeline, inputs(), strength=0.5, **more), plain) > 1e-3


@pytest.mark.parametrize("guidance", [GUIDANCE, 1.0])
def test_images_of_a_batch_get_what_is_theirs(pipeline: Any, guidance: float) -> None:
    params = replace(PARAMS, guidance_scale=guidance)
    shares = [Share(1, params, inputs(disliked=())), Share(1, params, inputs(liked=()))]
    with shared_feedback(pipeline.transformer, pipeline.scheduler, shares):
        found = draw(pipeline, guidance)
    liked, disliked = (
        ours(pipeline, inputs(**{other: ()}), params) for other in ("disliked", "liked")
    )
    assert apart(found[:1], liked[:1]) < 1e-5
    assert apart(found[1:], disliked[1:]) < 1e-5
    assert apart(liked[1:], disliked[1:]) > 1e-3


def test_latents_are_packed_as_the_pipeline_does() -> None:
    latents = numbers(1, 2, 4, 8, 6)
    expected = diffusers.FluxPipeline._pack_latents(latents, 2, 4, 8, 6)
    assert torch.equal(packed(latents), expected)
    assert torch.equal(
        coordinates(8, 6), diffusers.FluxPipeline._prepare_latent_image_ids(1, 4, 3, None, None)
    )


@pytest.mark.parametrize("size", [(4, 4), (4, 16)])
def test_references_of_another_size_are_refused(pipeline: Any, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="size of the images"):
        ours(pipeline, inputs(liked=references(11, size=size)))


def test_merging_is_refused(pipeline: Any) -> None:
    with pytest.raises(ValueError, match="cannot be merged in FLUX"):
        ours(pipeline, inputs(merge=0.5))


def test_what_goes_with_the_empty_prompt_is_needed(pipeline: Any) -> None:
    with pytest.raises(ValueError, match=r"null_added\['pooled_projections'\]"):
        ours(pipeline, inputs(null_added={}))


def test_transformers_that_are_shown_more_than_the_image_are_refused() -> None:
    pipeline = tiny_flux()
    shown = {"in_channels": 32, "out_channels": 16}
    more = diffusers.FluxTransformer2DModel(**{**pipeline.transformer.config, **shown})
    with pytest.raises(ValueError, match="Fill, Control"):
        check_known(more)


def test_attention_of_another_kind_is_refused(pipeline: Any) -> None:
    fused = tiny_flux()
    fused.transformer.transformer_blocks[0].attn.set_processor(
        diffusers.models.transformers.transformer_flux.FluxIPAdapterAttnProcessor(16, 16)
    )
    with pytest.raises(ValueError, match="FluxIPAdapterAttnProcessor"):
        ours(fused, inputs())
