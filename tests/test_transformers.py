"""Feedback in transformers: each pipeline against feedback written out plainly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fabricbo import create_study
from fabricbo.protocols import Drawing
from fabricbo.records import Action, FabricParams, TrialStatus
from fabricbo.sampler import (
    Checkpoint,
    FabricSampler,
    FeatureCache,
    FeedbackInputs,
    ReferenceLatent,
    SamplerOptions,
    feedback,
    hand_settings,
    load_pipeline,
)
from fabricbo.sampler.networks import check_known
from fabricbo.sampler.noise import fixed_noise
from fabricbo.sampler.references import encode
from fabricbo.sampler.threads import ThreadTunedSampler
from tests.tiny import reference
from tests.tiny_transformers import tiny_flux, tiny_pixart, tiny_sd3
from tests.transformer_oracle import plain_feedback

STEPS, TOKENS = 4, 5
PICTURE = Image.linear_gradient("L").convert("RGB").resize((32, 32))


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Case:
    """A pipeline, how it is called, and what its references have to be given."""

    pipeline: Any
    call: Mapping[str, Any]
    null_added: Mapping[str, Tensor]
    conditions: Mapping[str, Any]
    """What the transformer is to be told with a reference, besides the embedding."""
    attentions: Callable[[Any], list[Any]]
    """Of one block."""
    first_step: int = 0
    null_embeds: Tensor = field(default_factory=lambda: numbers(4, 1, TOKENS, 12))

    def noised(self, reference: ReferenceLatent) -> Callable[[int, Tensor], Tensor]:
        scheduler = self.pipeline.scheduler

        def make(step: int, timestep: Tensor) -> Tensor:
            noise = fixed_noise(reference.id, step, (1, 4, 8, 8))
            if isinstance(scheduler, diffusers.FlowMatchEulerDiscreteScheduler):
                return torch.lerp(reference.latents, noise, timestep / 1000)
            return scheduler.add_noise(reference.latents, noise, timestep[None])

        return make


def _pixart(pipeline: Any, added: Mapping[str, Any]) -> Case:
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    call = {
        "prompt": None,  # both want it to be told
        "negative_prompt": None,
        "prompt_embeds": numbers(1, 2, TOKENS, 12),
        "prompt_attention_mask": torch.ones(2, TOKENS, dtype=torch.long),
        "negative_prompt_embeds": numbers(2, 1, TOKENS, 12).expand(2, -1, -1),
        "negative_prompt_attention_mask": mask.expand(2, -1),
        "use_resolution_binning": False,
    }
    null_mask = torch.tensor([[1, 1, 0, 0, 0]])
    return Case(
        pipeline,
        call,
        {"encoder_attention_mask": null_mask},
        {"encoder_attention_mask": null_mask, "added_cond_kwargs": added},
        lambda block: [block.attn1],
    )


def pixart_alpha_of_1024(_: Any = None) -> Case:
    sizes = {"resolution": torch.tensor([[32.0, 32]]), "aspect_ratio": torch.tensor([[1.0]])}
    return _pixart(tiny_pixart("alpha", sample_size=128), sizes)


def pixart_sigma(_: Any = None) -> Case:
    return _pixart(tiny_pixart("sigma"), {"resolution": None, "aspect_ratio": None})


def _sd3(pipeline: Any, **more: Any) -> Case:
    call = {
        "prompt_embeds": numbers(1, 2, TOKENS, 12),
        "negative_prompt_embeds": numbers(2, 1, TOKENS, 12).expand(2, -1, -1),
        "pooled_prompt_embeds": numbers(5, 2, 10),
        "negative_pooled_prompt_embeds": numbers(6, 1, 10).expand(2, -1),
    }
    pooled = {"pooled_projections": numbers(7, 1, 10)}

    def attentions(block: Any) -> list[Any]:
        return [block.attn] if block.attn2 is None else [block.attn, block.attn2]

    return Case(pipeline, call | more.pop("call", {}), pooled, pooled, attentions, **more)


def sd3(_: Any = None) -> Case:
    return _sd3(tiny_sd3())


def sd3_5(_: Any = None) -> Case:
    return _sd3(tiny_sd3(newer=True))


def sd3_image_to_image(_: Any = None) -> Case:
    pipeline = diffusers.StableDiffusion3Img2ImgPipeline(**tiny_sd3().components)
    pipeline.set_progress_bar_config(disable=True)
    call = {"image": [PICTURE] * 2, "strength": 0.5}
    return _sd3(pipeline, call=call, first_step=STEPS // 2)


CASES = (pixart_alpha_of_1024, pixart_sigma, sd3, sd3_5, sd3_image_to_image)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.__name__)
def case(request) -> Case:
    return request.param()


def draw(case: Case) -> np.ndarray:
    found = case.pipeline(
        generator=[torch.Generator().manual_seed(seed) for seed in (1, 2)],
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        height=32,
        width=32,
        output_type="latent",
        **case.call,
    )
    return found.images.numpy()


def references(*seeds: int) -> tuple[ReferenceLatent, ...]:
    return tuple(ReferenceLatent(f"r{seed}", numbers(seed, 1, 4, 8, 8)) for seed in seeds)


def inputs_of(case: Case) -> FeedbackInputs:
    return FeedbackInputs(
        case.null_embeds,
        liked=references(11, 12),
        disliked=references(13),
        null_added=case.null_added,
    )


def ours(case: Case, weight: float, inputs: FeedbackInputs, **changes: Any) -> np.ndarray:
    params = FabricParams(
        feedback_start=0.0,
        feedback_end=0.75,
        max_weight=weight,
        neg_scale=1.0,
        guidance_scale=3.0,
        denoising_steps=STEPS,
    )
    changed = replace(params, **changes)
    with feedback(case.pipeline.transformer, case.pipeline.scheduler, changed, inputs):
        return draw(case)


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_equals_feedback_written_out(case: Case) -> None:
    inputs, transformer = inputs_of(case), case.pipeline.transformer
    with (
        torch.no_grad(),
        plain_feedback(
            transformer,
            [one for block in transformer.transformer_blocks for one in case.attentions(block)],
            liked=[case.noised(r) for r in inputs.liked],
            disliked=[case.noised(r) for r in inputs.disliked],
            weight=lambda step: 0.9 if step <= round(STEPS * 0.75) else 0.0,
            given={"encoder_hidden_states": case.null_embeds, **case.conditions},
            first_step=case.first_step,
        ),
    ):
        expected = draw(case)
    found = ours(case, 0.9, inputs)
    assert apart(found, expected) < 1e-5
    assert apart(found, draw(case)) > 1e-3
    assert np.array_equal(ours(case, 0.9, inputs), found)  # now from the cache
    assert inputs.cache.use.hits == inputs.cache.use.misses
    uncached = replace(inputs, cache=FeatureCache(0))
    assert np.array_equal(ours(case, 0.9, uncached), found)


def test_weight_zero_is_the_stock_pipeline_bit_for_bit(case: Case) -> None:
    assert np.array_equal(ours(case, 0.0, inputs_of(case)), draw(case))


def test_leaving_restores_the_very_processors(case: Case) -> None:
    attentions = [m for m in case.pipeline.transformer.modules() if hasattr(m, "set_processor")]
    before = [one.processor for one in attentions]
    ours(case, 0.5, inputs_of(case))
    assert all(a.processor is b for a, b in zip(attentions, before, strict=True))


@pytest.mark.parametrize("role", ["liked", "disliked"])
def test_each_role_acts_in_its_own_rows(case: Case, role: str) -> None:
    predicted: list[Tensor] = []
    hook = case.pipeline.transformer.register_forward_hook(
        lambda _module, _args, output: predicted.append(output[0])
    )
    draw(case)
    plain = predicted[0].chunk(2)
    predicted.clear()
    other = "disliked" if role == "liked" else "liked"
    ours(case, 0.9, replace(inputs_of(case), **{other: ()}))
    hook.remove()
    unconditional, conditional = (
        apart(found.numpy(), expected.numpy())
        for found, expected in zip(predicted[0].chunk(2), plain, strict=True)
    )
    changed, same = (
        (conditional, unconditional) if role == "liked" else (unconditional, conditional)
    )
    assert changed > 1e-3
    assert same < 1e-6


def test_there_is_one_level_only(case: Case) -> None:
    inputs = inputs_of(case)
    expected = ours(case, 0.9, inputs)
    scales = {"pos_bottleneck_scale": 0.0, "neg_bottleneck_scale": 0.0, "middle_scale": 0.5}
    assert np.array_equal(ours(case, 0.9, inputs, **scales), expected)
    with pytest.raises(ValueError, match=r"at levels \[0\]"):
        ours(case, 0.9, replace(inputs, levels=frozenset({1})))


def test_lean_and_merged_references(case: Case) -> None:
    inputs = inputs_of(case)
    expected = ours(case, 0.9, inputs)
    assert apart(ours(case, 0.9, replace(inputs, lean=True)), expected) < 1e-5
    assert apart(ours(case, 0.9, replace(inputs, merge=0.5)), expected) > 1e-6


def test_what_goes_with_the_empty_prompt_is_needed(case: Case) -> None:
    with pytest.raises(ValueError, match="needs null_added"):
        ours(case, 0.9, replace(inputs_of(case), null_added={}))


def test_skip_layer_guidance_is_refused() -> None:
    case = sd3()
    skipping = replace(
        case, call={**case.call, "skip_guidance_layers": [1], "skip_layer_guidance_stop": 0.6}
    )
    with pytest.raises(ValueError, match="skip-layer guidance"):
        ours(skipping, 0.9, inputs_of(case))


def test_attention_of_another_kind_is_refused() -> None:
    case = sd3()
    case.pipeline.transformer.fuse_qkv_projections()
    with pytest.raises(ValueError, match="FusedJointAttnProcessor2_0"):
        ours(case, 0.9, inputs_of(case))


def test_other_transformers_are_refused() -> None:
    other = diffusers.DiTTransformer2DModel(num_layers=1, sample_size=8, num_attention_heads=1)
    with pytest.raises(ValueError, match="got DiTTransformer2DModel"):
        check_known(other)


STUDIES = (tiny_sd3, tiny_flux)


@pytest.mark.parametrize("tiny", STUDIES)
def test_the_sampler_draws(tmp_path: Path, tiny: Callable[..., Any]) -> None:
    pipeline = tiny(folder=tmp_path)
    settings = FabricParams(max_weight=0.0, guidance_scale=3.0, denoising_steps=STEPS)
    liked, disliked = reference("red"), reference("blue")
    sampler = FabricSampler(pipeline, SamplerOptions(width=32, height=32, distilled_guidance=2.0))
    guidance: dict[str, Any] = {"guidance_scale": 3.0}
    if tiny is tiny_flux:
        guidance = {"true_cfg_scale": 3.0, "negative_prompt": [""] * 2, "guidance_scale": 2.0}
    plain = pipeline(
        ["a cat"] * 2,
        width=32,
        height=32,
        num_inference_steps=STEPS,
        generator=[torch.Generator().manual_seed(seed) for seed in (1, 2)],
        **guidance,
    ).images
    action = Action(settings, liked=(liked,), disliked=(disliked,))
    without = sampler(action, "a cat", [1, 2])
    strong = Action(replace(settings, max_weight=0.9), liked=(liked,), disliked=(disliked,))
    drawn = sampler(strong, "a cat", [1, 2])
    assert [image.tobytes() for image in without] == [image.tobytes() for image in plain]
    assert all(a.tobytes() != b.tobytes() for a, b in zip(drawn, without, strict=True))
    (beside,) = sampler.begin([Drawing(strong, "a cat", [1, 2])])()
    assert [image.tobytes() for image in beside] == [image.tobytes() for image in drawn]
    before = sampler.environment["weights"]
    other = FabricSampler(_repainted(pipeline), sampler.options)
    assert other.environment["weights"] != before


def _repainted(pipeline: Any) -> Any:
    with torch.no_grad():
        pipeline.transformer.proj_out.bias += 1
    return pipeline


@pytest.mark.parametrize("tiny", STUDIES)
def test_checkpoints_are_loaded(tmp_path: Path, tiny: Callable[..., Any]) -> None:
    tiny(folder=tmp_path / "words").save_pretrained(tmp_path / "saved")
    loaded = load_pipeline(Checkpoint(str(tmp_path / "saved"), device="cpu", clip_skip=1))
    action = Action(FabricParams(guidance_scale=3.0, denoising_steps=2), liked=(reference("red"),))
    tuned = ThreadTunedSampler(FabricSampler(loaded, SamplerOptions(width=32, height=32)))
    assert len(tuned(action, "a cat", [1])) == 1


def test_flux_begins_without_guidance_of_its_own(tmp_path: Path) -> None:
    tiny_flux(folder=tmp_path / "words").save_pretrained(tmp_path / "flux")
    assert hand_settings(Checkpoint(str(tmp_path / "flux"))) == {"guidance_scale": 1.0}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (SamplerOptions(width=40, height=32), "multiples of 16 pixels"),
        (SamplerOptions(width=32, height=32, merge_tokens=0.5), "cannot be merged in FLUX"),
        (SamplerOptions(width=32, height=32, max_memory=10**9), "for U-Nets only"),
    ],
    ids=["size", "merging", "memory"],
)
def test_what_flux_cannot_do_is_said_before_anything_is_drawn(
    options: SamplerOptions, reason: str
) -> None:
    pipeline = tiny_flux()
    pipeline.vae_scale_factor = 8  # as published ones have it
    with pytest.raises(ValueError, match=reason):
        FabricSampler(pipeline, options)


@pytest.mark.slow
@pytest.mark.parametrize("tiny", STUDIES)
def test_a_study_draws_with_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny(folder=tmp_path / "words").save_pretrained(tmp_path / "saved")
    (tmp_path / "pool").mkdir()
    reference("red").image.save(tmp_path / "pool" / "red.png")
    settings = {"name": "tiny", "prompt": "a cat", "objective": "colourfulness", "safety": False}
    settings |= {"rounds": 1, "trials": 2, "images": 1, "pool": {"folder": str(tmp_path / "pool")}}
    settings["checkpoint"] = {"name": str(tmp_path / "saved"), "width": 32, "height": 32}
    settings["space"] = {"denoising_steps": 2}
    study = create_study(settings)
    study.run()
    assert {trial.status for trial in study.trials} == {TrialStatus.DONE}
    assert (study.trials[0].action.params.guidance_scale == 1) == (tiny is tiny_flux)


def test_a_pipeline_that_takes_other_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot call PixArtSigmaPipeline"):
        FabricSampler(tiny_pixart())


def test_references_are_shifted_as_images_are() -> None:
    pipeline = diffusers.StableDiffusion3Img2ImgPipeline(**tiny_sd3().components)
    pixels = pipeline.image_processor.preprocess(PICTURE)
    with torch.no_grad():
        latents = pipeline.vae.encode(pixels).latent_dist.mode()
        restored = encode(pipeline.vae, PICTURE) / pipeline.vae.config.scaling_factor
    assert torch.allclose(restored + pipeline.vae.config.shift_factor, latents, atol=1e-6)
