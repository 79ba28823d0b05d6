"""Feedback in diffusers' pipelines: each against feedback written out plainly (`tests.oracle`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fabricbo.records import FabricParams
from fabricbo.sampler import FeedbackInputs, ReferenceLatent, feedback
from fabricbo.sampler.noise import fixed_noise
from tests.oracle import plain_feedback
from tests.tiny import tiny_pipeline, tiny_xl_pipeline

STEPS = 4
PICTURE = Image.linear_gradient("L").convert("RGB").resize((32, 32))
NOTHING: dict[str, Any] = {}


@dataclass(frozen=True)
class Case:
    """A pipeline, how it is called, and what its references have to be given."""

    pipeline: Any
    call: Mapping[str, Any] = field(default_factory=dict)
    guidance: float = 3.0
    steps: int = STEPS
    guided: bool = True
    first_step: int = 0
    conditions: Callable[[dict[str, Any]], dict[str, Any]] = lambda given: {}
    null_added: Mapping[str, Tensor] = field(default_factory=dict)
    null_embeds: Tensor | None = None
    shown: Callable[[Tensor, Tensor], Tensor] = lambda noised, clean: noised


def sd1(folder) -> Case:
    return Case(tiny_pipeline(folder))


def sd2_v_prediction(folder) -> Case:
    pipeline = tiny_pipeline(folder, use_linear_projection=True)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(
        pipeline.scheduler.config, prediction_type="v_prediction", rescale_betas_zero_snr=True
    )
    return Case(pipeline)


def freeu(folder) -> Case:
    pipeline = tiny_pipeline(folder)
    pipeline.enable_freeu(s1=0.9, s2=0.2, b1=1.4, b2=1.6)
    return Case(pipeline)


def textual_inversion(folder) -> Case:
    pipeline = tiny_pipeline(folder)
    vector = torch.randn(32, generator=torch.Generator().manual_seed(3))
    pipeline.load_textual_inversion({"<mine>": vector})
    return Case(pipeline, {"prompt": ["a <mine>", "a cat"]})


def image_to_image(folder) -> Case:
    pipeline = diffusers.StableDiffusionImg2ImgPipeline(
        **tiny_pipeline(folder).components, requires_safety_checker=False
    )
    call = {"image": [PICTURE] * 2, "strength": 0.5}
    return Case(pipeline, call, first_step=STEPS // 2)


def inpainting(folder) -> Case:
    pipeline = diffusers.StableDiffusionInpaintPipeline(
        **tiny_pipeline(folder).components, requires_safety_checker=False
    )
    mask = Image.new("L", (32, 32))
    mask.paste(255, (8, 8, 24, 24))
    size = {"height": 32, "width": 32}
    return Case(pipeline, {"image": [PICTURE] * 2, "mask_image": [mask] * 2, **size})


def inpainting_checkpoint(folder) -> Case:
    of = tiny_pipeline(folder, in_channels=9).components
    pipeline = diffusers.StableDiffusionInpaintPipeline(**of, requires_safety_checker=False)

    def shown(noised: Tensor, clean: Tensor) -> Tensor:
        return torch.cat([noised, torch.zeros(1, 1, 8, 8), clean], dim=1)

    mask = Image.new("L", (32, 32))
    mask.paste(255, (8, 8, 24, 24))
    call = {"image": [PICTURE] * 2, "mask_image": [mask] * 2, "height": 32, "width": 32}
    return Case(pipeline, call, shown=shown)


def control_net(folder) -> Case:
    of = tiny_pipeline(folder).components
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        control = diffusers.ControlNetModel.from_unet(
            of["unet"], conditioning_embedding_out_channels=(8, 8, 8)
        )
        for block in control.controlnet_down_blocks:  # they begin at zero
            torch.nn.init.normal_(block.weight, std=0.3)
    pipeline = diffusers.StableDiffusionControlNetPipeline(
        **of, controlnet=control.eval(), requires_safety_checker=False
    )
    return Case(pipeline, {"image": [PICTURE] * 2})


def ip_adapter(folder) -> Case:
    pipeline = tiny_pipeline(folder)
    unet, random = pipeline.unet, torch.Generator().manual_seed(5)

    def weights(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random) * 0.2

    cross = [name for name in unet.attn_processors if "attn2" in name]
    adapter = {}
    for index, name in enumerate(cross):
        channels = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        for kind in ("to_k_ip", "to_v_ip"):
            adapter[f"{2 * index + 1}.{kind}.weight"] = weights(channels, 32)
    projection = {
        "proj.weight": weights(4 * 32, 12),
        "proj.bias": weights(4 * 32),
        "norm.weight": torch.ones(32),
        "norm.bias": torch.zeros(32),
    }
    unet._load_ip_adapter_weights([{"image_proj": projection, "ip_adapter": adapter}])
    embeds = torch.cat([torch.zeros(2, 1, 12), weights(2, 1, 12)])

    def conditions(given: dict[str, Any]) -> dict[str, Any]:
        (shown,) = given["added_cond_kwargs"]["image_embeds"]
        return {"added_cond_kwargs": {"image_embeds": [shown[:1]]}}

    return Case(pipeline, {"ip_adapter_image_embeds": [embeds]}, conditions=conditions)


def _xl_conditions(pooled: Tensor) -> Callable[[dict[str, Any]], dict[str, Any]]:
    sizes = torch.tensor([[32.0, 32, 0, 0, 32, 32]])
    return lambda given: {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}


def _xl(pipeline: Any, call: Mapping[str, Any] = NOTHING, **more: Any) -> Case:
    # Its pipeline gives zeros in place of an empty negative prompt.
    pooled = torch.zeros(1, 32)
    return Case(
        pipeline,
        call,
        conditions=_xl_conditions(pooled),
        null_added={"text_embeds": pooled},
        null_embeds=torch.zeros(1, 16, 64),
        **more,
    )


def xl(folder) -> Case:
    return _xl(tiny_xl_pipeline(folder))


def xl_image_to_image(folder) -> Case:
    of = tiny_xl_pipeline(folder).components
    pipeline = diffusers.StableDiffusionXLImg2ImgPipeline(**of, add_watermarker=False)
    call = {"image": [PICTURE] * 2, "strength": 0.5}
    return _xl(pipeline, call, first_step=STEPS // 2)


def xl_turbo(folder) -> Case:
    pipeline = tiny_xl_pipeline(folder)
    pipeline.scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="trailing"
    )
    return _xl(pipeline, guidance=0.0, steps=1, guided=False)


def lcm(folder) -> Case:
    of = dict(tiny_pipeline(folder, time_cond_proj_dim=16).components)
    of["scheduler"] = diffusers.LCMScheduler.from_config(of["scheduler"].config)
    pipeline = diffusers.LatentConsistencyModelPipeline(**of, requires_safety_checker=False)

    def conditions(given: dict[str, Any]) -> dict[str, Any]:
        return {"timestep_cond": given["timestep_cond"][:1]}

    return Case(pipeline, guidance=8.0, guided=False, conditions=conditions)


CASES = (
    *(sd1, sd2_v_prediction, freeu, textual_inversion, image_to_image),
    *(inpainting, inpainting_checkpoint, control_net, ip_adapter),
    *(xl, xl_image_to_image, xl_turbo, lcm),
)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.__name__)
def case(request, tmp_path_factory) -> Case:
    found = request.param(tmp_path_factory.mktemp("tokenizer"))
    found.pipeline.set_progress_bar_config(disable=True)
    return found


def draw(case: Case) -> np.ndarray:
    call = {"prompt": ["a cat", "a dog"], "output_type": "latent", **case.call}
    if "image" not in call:
        call |= {"height": 32, "width": 32}
    found = case.pipeline(
        generator=[torch.Generator().manual_seed(seed) for seed in (1, 2)],
        num_inference_steps=case.steps,
        guidance_scale=case.guidance,
        **call,
    )
    return found.images.numpy()


def references(*seeds: int) -> tuple[ReferenceLatent, ...]:
    return tuple(
        ReferenceLatent(
            f"r{seed}", torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
        )
        for seed in seeds
    )


def params(case: Case, weight: float) -> FabricParams:
    return FabricParams(
        feedback_start=0.0,
        feedback_end=0.5,
        max_weight=weight,
        neg_scale=1.0,
        guidance_scale=case.guidance,
        denoising_steps=case.steps,
    )


def null_embeds(case: Case) -> Tensor:
    if case.null_embeds is not None:
        return case.null_embeds
    return case.pipeline.encode_prompt("", torch.device("cpu"), 1, False)[0]


def ours(case: Case, weight: float, inputs: FeedbackInputs) -> np.ndarray:
    with feedback(case.pipeline.unet, case.pipeline.scheduler, params(case, weight), inputs):
        return draw(case)


def given(case: Case) -> FeedbackInputs:
    return FeedbackInputs(
        null_embeds(case),
        liked=references(11, 12),
        disliked=references(13),
        null_added=case.null_added,
    )


def test_equals_feedback_written_out(case: Case) -> None:
    inputs, pipeline = given(case), case.pipeline
    scheduler = pipeline.scheduler

    def noised(reference: ReferenceLatent) -> Callable[[int, Any], Tensor]:
        def make(step: int, timestep: Any) -> Tensor:
            noise = fixed_noise(reference.id, step, (1, 4, 8, 8))
            found = scheduler.add_noise(reference.latents, noise, timestep.reshape(1))
            return case.shown(scheduler.scale_model_input(found, timestep), reference.latents)

        return make

    with (
        torch.no_grad(),
        plain_feedback(
            pipeline.unet,
            liked=[noised(r) for r in inputs.liked],
            disliked=[noised(r) for r in inputs.disliked],
            weight=lambda step: 0.9 if step <= round(case.steps * 0.5) else 0.0,
            null_embeds=inputs.null_embeds,
            conditions=case.conditions,
            guided=case.guided,
            first_step=case.first_step,
        ),
    ):
        expected = draw(case)
    found = ours(case, 0.9, inputs)
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 1e-4
    assert np.linalg.norm(found - draw(case)) / np.linalg.norm(expected) > 1e-3
    assert np.array_equal(ours(case, 0.9, inputs), found)  # now from the cache
    assert inputs.cache.use.hits == inputs.cache.use.misses


def test_weight_zero_is_the_stock_pipeline_bit_for_bit(case: Case) -> None:
    assert np.array_equal(ours(case, 0.0, given(case)), draw(case))


def test_xl_needs_the_pooled_embedding_of_the_empty_prompt(tmp_path) -> None:
    case = xl(tmp_path)
    inputs = FeedbackInputs(null_embeds(case), liked=references(11))
    with pytest.raises(ValueError, match="needs null_added"):
        ours(case, 0.5, inputs)
