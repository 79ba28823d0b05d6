"""`FabricSampler` against the stock pipeline, and its promises about seeds and state."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from fabricbo.protocols import Drawing
from fabricbo.records import Action, FabricParams, Role
from fabricbo.sampler import FabricSampler, ReferenceLatent, SamplerOptions, feedback
from fabricbo.sampler.features import CacheUse, FeatureCache
from fabricbo.sampler.hook import FeedbackHook
from fabricbo.sampler.schedule import disliked_pair, level_weights, liked_pair
from tests.tiny import reference, tiny_pipeline

RED, BLUE, GREEN = reference("red"), reference("blue", (50, 20)), reference("green", (7, 90))
SCHEDULERS = {
    "ddim": ("DDIMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "dpm++2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}


def action(liked=(RED,), disliked=(BLUE,), **params: float) -> Action:
    params = {"denoising_steps": 6, "guidance_scale": 3.0} | params
    return Action(FabricParams(**params), tuple(liked), tuple(disliked))


def stock(pipeline: Any, seeds: Sequence[int], guidance: float = 3.0, **call: Any):
    return pipeline(
        prompt=["a cat"] * len(seeds),
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        num_inference_steps=6,
        guidance_scale=guidance,
        **call,
    ).images


def pixels(images: Sequence[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image, dtype=np.int16) for image in images])


def use(pipeline: Any, name: str) -> None:
    kind, settings = SCHEDULERS[name]
    config = pipeline.scheduler.config
    pipeline.scheduler = getattr(diffusers, kind).from_config(config, **settings)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_scheduler_weight_zero_equals_stock_and_weight_changes_images(pipeline, name) -> None:
    use(pipeline, name)
    sampler = FabricSampler(pipeline)
    expected = pixels(stock(pipeline, [3, 4]))
    assert np.array_equal(pixels(sampler(action(max_weight=0.0), "a cat", [3, 4])), expected)
    weak = np.abs(pixels(sampler(action(max_weight=0.01), "a cat", [3, 4])) - expected).mean()
    strong = np.abs(pixels(sampler(action(max_weight=1.0), "a cat", [3, 4])) - expected).mean()
    assert 0 <= weak < strong
    assert strong > 0.1


@pytest.mark.parametrize("vae", ["kl", "tiny"])
def test_without_references_equals_stock_bit_for_bit(tmp_path, vae) -> None:
    pipeline = tiny_pipeline(tmp_path, vae)
    sampler = FabricSampler(pipeline)
    expected = pixels(stock(pipeline, [1, 2]))
    assert np.array_equal(pixels(sampler(action((), ()), "a cat", [1, 2])), expected)
    changed = pixels(sampler(action(), "a cat", [1, 2]))
    assert not np.array_equal(changed, expected)


@pytest.mark.parametrize("name", ["ddim", "euler_ancestral", "dpm++sde", "lcm"])
def test_same_call_same_images_whatever_ran_in_between(pipeline, name) -> None:
    use(pipeline, name)
    sampler = FabricSampler(pipeline)
    first = pixels(sampler(action(), "a cat", [1, 2]))
    sampler(action((RED, GREEN), (BLUE,), denoising_steps=4), "a dog", [9])
    torch.randn(3)
    assert np.array_equal(pixels(sampler(action(), "a cat", [1, 2])), first)
    assert np.array_equal(pixels(FabricSampler(pipeline)(action(), "a cat", [1, 2])), first)
    uncached = FabricSampler(pipeline, SamplerOptions(cache_bytes=0))
    assert np.array_equal(pixels(uncached(action(), "a cat", [1, 2])), first)


@pytest.mark.parametrize("name", ["ddim", "euler_ancestral", "dpm++sde", "lcm"])
def test_seed_alone_or_in_a_batch_gives_the_same_image(pipeline, name) -> None:
    use(pipeline, name)
    sampler = FabricSampler(pipeline)
    batch = pixels(sampler(action(), "a cat", [5, 6, 7]))
    for index, seed in enumerate([5, 6, 7]):
        difference = np.abs(pixels(sampler(action(), "a cat", [seed]))[0] - batch[index])
        assert (difference <= 1).mean() > 0.999
    assert np.abs(batch[0] - batch[1]).mean() > 1


GLOBAL_STATE = """
import random, sys
from pathlib import Path
import diffusers, numpy, torch
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import FabricSampler
from tests.tiny import reference, tiny_pipeline

pipeline = tiny_pipeline(Path(sys.argv[1]))
config = pipeline.scheduler.config
pipeline.scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(config)
params = FabricParams(denoising_steps=4, prompt_dropout=0.5)
state = lambda: (torch.get_rng_state().tolist(), random.getstate(), str(numpy.random.get_state()))
before = state()
FabricSampler(pipeline)(Action(params, (reference("red"),)), "a cat on a mat", [1, 2])
assert state() == before
"""


def test_global_random_state_is_untouched(tmp_path) -> None:
    # In an interpreter of its own: the shape checker of this one draws random numbers itself.
    subprocess.run([sys.executable, "-c", GLOBAL_STATE, str(tmp_path)], check=True)


@pytest.mark.parametrize(
    ("liked", "disliked"),
    [((RED,), ()), ((), (BLUE,)), ((RED, GREEN), (BLUE,)), ((RED,), (BLUE, GREEN))],
    ids=["liked only", "disliked only", "2+1", "1+2"],
)
def test_different_numbers_of_references(pipeline, liked, disliked) -> None:
    sampler = FabricSampler(pipeline)
    images = pixels(sampler(action(liked, disliked, max_weight=1.0), "a cat", [1, 2]))
    assert not np.array_equal(images, pixels(stock(pipeline, [1, 2])))


def test_guidance_off_runs_the_conditional_pass_only(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    settings = {"guidance_scale": 1.0, "max_weight": 1.0}
    plain = pixels(stock(pipeline, [1], guidance=1.0))
    liked = pixels(sampler(action((RED,), (), **settings), "a cat", [1]))
    assert not np.array_equal(liked, plain)
    both = pixels(sampler(action((RED,), (BLUE,), **settings), "a cat", [1]))
    assert not np.array_equal(both, liked)


def test_several_prompts_in_one_batch(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    batch = pixels(sampler(action(), ["a cat", "a dog"], [1, 2]))
    alone = pixels(sampler(action(), "a dog", [2]))
    assert np.abs(batch[1] - alone[0]).max() <= 1


def test_non_square_sizes(pipeline) -> None:
    sampler = FabricSampler(pipeline, SamplerOptions(width=48, height=24))
    assert sampler(action(), "a cat", [1])[0].size == (48, 24)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "LA", "1", "I;16", "CMYK"])
def test_references_of_any_mode(pipeline, mode) -> None:
    image = Image.new("I;16", (20, 40)) if mode == "I;16" else RED.image.convert(mode)
    odd = reference("red").__class__("odd " + mode, "odd", image)
    assert len(FabricSampler(pipeline)(action((odd,), ()), "a cat", [1])) == 1


def test_crop_keeps_the_aspect(pipeline) -> None:
    wide = Image.new("RGB", (96, 32), "white")
    wide.paste("black", (32, 0, 64, 32))
    odd = RED.__class__("wide", "wide", wide)
    stretch, crop = (
        pixels(
            FabricSampler(pipeline, SamplerOptions(reference_fit=fit))(
                action((odd,), ()), "a cat", [1]
            )
        )
        for fit in ("stretch", "crop")
    )
    assert not np.array_equal(stretch, crop)


def test_fresh_noise_differs_from_fixed_and_repeats(pipeline) -> None:
    fresh = FabricSampler(pipeline, SamplerOptions(reference_noise="fresh"))
    first = pixels(fresh(action(), "a cat", [1]))
    assert np.array_equal(pixels(fresh(action(), "a cat", [1])), first)
    assert not np.array_equal(pixels(FabricSampler(pipeline)(action(), "a cat", [1])), first)


def test_no_reference_pass_outside_the_window(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    sampler(action(feedback_start=0.5, feedback_end=0.7), "a cat", [1])
    assert sampler.cache.use == CacheUse(misses=2 * 2)  # steps 3 and 4, a reference of each role
    sampler(action(feedback_start=0.5, feedback_end=0.7), "a cat", [2])
    assert sampler.cache.use == CacheUse(hits=4, misses=4)
    assert sampler.counts == {"features_found": 4, "features_fetched": 0, "features_computed": 4}


def test_order_of_references_does_not_matter(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    one = pixels(sampler(action((RED, GREEN)), "a cat", [1]))
    other = pixels(sampler(action((GREEN, RED)), "a cat", [1]))
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), KeyboardInterrupt()])
def test_exception_restores_the_very_processors(pipeline, error) -> None:
    before = dict(pipeline.unet.attn_processors)

    def fail(step: int, steps: int) -> None:
        assert pipeline.unet.attn_processors != before
        if step == 2:
            raise error

    with pytest.raises(type(error)):
        FabricSampler(pipeline)(action(), "a cat", [1], on_step=fail)
    after = pipeline.unet.attn_processors
    assert all(after[name] is processor for name, processor in before.items())
    assert not pipeline.unet._forward_pre_hooks
    assert not pipeline.unet._forward_hooks
    expected = pixels(stock(pipeline, [1]))
    assert np.array_equal(pixels(FabricSampler(pipeline)(action((), ()), "a cat", [1])), expected)


def test_exception_inside_a_reference_pass_restores_too(pipeline, monkeypatch) -> None:
    before = dict(pipeline.unet.attn_processors)
    monkeypatch.setattr(
        pipeline.scheduler.__class__,
        "add_noise",
        lambda *args: (_ for _ in ()).throw(MemoryError("no memory")),
    )
    with pytest.raises(MemoryError):
        FabricSampler(pipeline)(action(), "a cat", [1])
    after = pipeline.unet.attn_processors
    assert all(after[name] is processor for name, processor in before.items())


def test_prompt_dropout_is_seeded_and_changes_images(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    prompt = "a b c d"
    kept = pixels(sampler(action(prompt_dropout=0.6), prompt, [1, 2]))
    assert np.array_equal(pixels(sampler(action(prompt_dropout=0.6), prompt, [1, 2])), kept)
    assert not np.array_equal(pixels(sampler(action(), prompt, [1, 2])), kept)


@pytest.mark.parametrize(
    ("prompt", "seeds", "message"),
    [("a cat", [], "at least one seed"), (["a", "b"], [1], "one prompt a seed")],
)
def test_bad_calls_are_told_so(pipeline, prompt, seeds, message) -> None:
    with pytest.raises(ValueError, match=message):
        FabricSampler(pipeline)(action(), prompt, seeds)


@pytest.mark.parametrize(
    "options",
    [
        {"width": 30},
        {"height": -8},
        {"reference_noise": "x"},
        {"reference_fit": "x"},
    ],
)
def test_bad_options_are_told_so(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        SamplerOptions(**options)


def test_unet_with_unknown_added_conditions_is_refused(tmp_path) -> None:
    pipeline = tiny_pipeline(tmp_path, addition_embed_type="text", addition_embed_type_num_heads=4)
    with pytest.raises(ValueError, match="added conditions of type 'text'"):
        FabricSampler(pipeline)


def test_images_of_several_actions_in_one_batch_are_those_of_each(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    drawings = [
        Drawing(action((RED, GREEN), (BLUE,), max_weight=1.2), "a cat", [1, 2]),
        Drawing(action((), ()), "a dog", [3]),
        Drawing(action((BLUE,), (), feedback_start=0.5), ["a cat", "a mat"], [4, 5]),
        Drawing(action((), (RED,), neg_scale=2.0, max_weight=0.3), "a cat", [6]),
    ]
    together = sampler.together(drawings)
    assert [len(images) for images in together] == [2, 1, 2, 1]
    for drawing, images in zip(drawings, together, strict=True):
        alone = pixels(sampler(drawing.action, drawing.prompt, drawing.seeds))
        assert (np.abs(pixels(images) - alone) <= 1).mean() > 0.999
    assert np.abs(pixels(together[0])[0] - pixels(stock(pipeline, [1]))[0]).max() > 2


@pytest.mark.parametrize(
    "other", [{"guidance_scale": 4.0}, {"denoising_steps": 7}, {"rescale": 0.5}]
)
def test_a_batch_has_one_guidance_scale_and_number_of_steps(pipeline, other) -> None:
    drawings = [Drawing(action(), "a cat", [1]), Drawing(action(**other), "a cat", [2])]
    with pytest.raises(ValueError, match="one guidance scale, rescale and number of steps"):
        FabricSampler(pipeline).together(drawings)


@pytest.mark.parametrize("on", [{"ramp": 1.0}, {"middle_scale": 0.0}])
def test_what_acts_through_references_needs_some(tmp_path, on) -> None:
    # The other tiny U-Net has no attention between its two ends, as Stable Diffusion's has.
    blocks = {
        f"{way}_block_types": (f"CrossAttn{way.title()}Block2D",) * 2 for way in ("down", "up")
    }
    sampler = FabricSampler(tiny_pipeline(tmp_path, **blocks))

    def drawn(*roles: Any, **params: float) -> np.ndarray:
        return pixels(sampler(action(*roles, feedback_end=0.5, **params), "a cat", [3]))

    assert not np.array_equal(drawn(**on), drawn())
    assert np.array_equal(drawn((), (), **on), drawn((), ()))


FORMS = {"as usual": {}, "lean": {"lean": True}, "merged": {"merge": 0.5}}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_a_reference_of_strength_two_is_two_of_strength_one(tmp_path, dtype, form) -> None:
    """`softmax(logits + log 2 w)` over its tokens, or over the same tokens twice with `log w`."""
    pipeline = tiny_pipeline(tmp_path).to(dtype)
    sampler = FabricSampler(pipeline)
    both = action((RED, GREEN), (BLUE,), max_weight=0.7, pos_bottleneck_scale=0.3, feedback_end=0.5)
    inputs = replace(sampler._inputs(both, lean=False), **FORMS[form])
    red, green = inputs.liked
    (blue,) = inputs.disliked

    def latents(liked: tuple[ReferenceLatent, ...], disliked: tuple[ReferenceLatent, ...]):
        given = replace(inputs, liked=liked, disliked=disliked, cache=FeatureCache())
        with feedback(pipeline.unet, pipeline.scheduler, both.params, given):
            return torch.as_tensor(stock(pipeline, [3], output_type="latent"))

    strong = latents((replace(red, strength=2.0), green), (replace(blue, strength=3.0),))
    copies = latents((red, red, green), (blue, blue, blue))
    plain = latents((red, green), (blue,))
    exact = 1e-12 if dtype is torch.float64 else 1e-4
    assert (strong - copies).norm() <= exact * copies.norm()
    assert (strong - plain).norm() > 1e-3 * plain.norm()


def test_strength_one_is_bit_for_bit_as_before(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    seen: list[Any] = []
    hook = FeedbackHook._injection
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeedbackHook, "_injection", lambda *a: seen.append(hook(*a)) or seen[-1])
        sampler(action(max_weight=0.7, middle_scale=0.3), "a cat", [1])
    expected = {
        tuple(level_weights(pair, len(pipeline.unet.down_blocks), 0.3))
        for pair in (liked_pair(0.7, FabricParams()), disliked_pair(0.7, FabricParams()))
    }
    assert {tuple(w) for one in seen for w in one.level_weights} == expected


def test_images_of_several_strengths_in_one_batch_are_those_of_each(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    plain = action((RED, GREEN), (BLUE,), max_weight=1.2)
    actions = [
        replace(plain, strengths=strengths)
        for strengths in ({}, {RED.id: 8.0}, {GREEN.id: 0.125, BLUE.id: 4.0})
    ]
    together = sampler.together([Drawing(one, "a cat", [7]) for one in actions])
    alone = [pixels(sampler(one, "a cat", [7])) for one in actions]
    for images, expected in zip(together, alone, strict=True):
        assert (np.abs(pixels(images) - expected) <= 1).mean() > 0.999
    assert np.abs(alone[0] - alone[1]).max() > 2
    assert np.abs(alone[0] - alone[2]).max() > 2


def test_features_do_not_depend_on_strengths(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    plain = action((RED, GREEN), (BLUE,))
    strong = replace(plain, strengths={RED.id: 2.0, BLUE.id: 0.5})
    expected = pixels(FabricSampler(pipeline)(strong, "a cat", [1]))
    sampler(plain, "a cat", [1])
    before = sampler.cache.use
    assert np.array_equal(pixels(sampler(strong, "a cat", [1])), expected)
    assert sampler.cache.use.misses == before.misses


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan"), float("inf")])
def test_a_strength_that_is_none_is_refused(strength) -> None:
    with pytest.raises(ValueError, match="a strength must be finite and above 0"):
        ReferenceLatent("red", torch.zeros(1, 4, 4, 4), strength)


def test_rescale_is_that_of_diffusers(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    drawn = pixels(sampler(action((), (), rescale=0.7), "a cat", [3, 4]))
    assert np.array_equal(drawn, pixels(stock(pipeline, [3, 4], guidance_rescale=0.7)))
    assert not np.array_equal(drawn, pixels(stock(pipeline, [3, 4])))
    with_references = pixels(sampler(action(rescale=0.7), "a cat", [3, 4]))
    assert not np.array_equal(with_references, pixels(sampler(action(), "a cat", [3, 4])))


def test_rescale_does_nothing_without_guidance(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    one, other = (action(guidance_scale=1.0, rescale=r) for r in (0.0, 0.7))
    assert np.array_equal(pixels(sampler(one, "a cat", [3])), pixels(sampler(other, "a cat", [3])))


def test_a_pipeline_that_knows_no_rescale_is_told_nothing_of_it(pipeline) -> None:
    class Other(type(pipeline)):
        def __call__(self, prompt, generator=None, guidance_scale=7.5, **call: Any):
            assert "guidance_rescale" not in call
            call |= {"generator": generator, "guidance_scale": guidance_scale}
            return super().__call__(prompt, **call)

    sampler = FabricSampler(Other(**pipeline.components))
    assert sampler(action(), "a cat", [3])
    with pytest.raises(ValueError, match="takes guidance_rescale, and Other does not"):
        sampler(action(rescale=0.7), "a cat", [3])


def test_role_of_a_reference() -> None:
    assert action().role(RED) is Role.LIKED
    assert action().role(BLUE) is Role.DISLIKED
    assert action().role(GREEN) is Role.UNUSED


def test_embedding_tells_what_looks_alike(pipeline) -> None:
    sampler = FabricSampler(pipeline)
    images = [Image.new(*of) for of in (("RGB", (32, 32), "red"), ("L", (9, 70), 80))]
    nearly_red = Image.new("RGB", (64, 20), (250, 6, 4))
    vectors = sampler.embed([*images, nearly_red])
    assert vectors.shape == (3, 16 * pipeline.vae.config.latent_channels)
    assert np.array_equal(sampler.embed(images), vectors[:2])
    assert np.linalg.norm(vectors[0] - vectors[2]) < np.linalg.norm(vectors[0] - vectors[1]) / 4


def test_the_environment_tells_weights_and_versions_apart(tmp_path) -> None:
    one, other = (FabricSampler(tiny_pipeline(tmp_path / name)) for name in ("one", "other"))
    assert one.environment == other.environment
    assert json.loads(json.dumps(one.environment)) == one.environment
    assert one.environment["packages"]["torch"] == torch.__version__
    assert one.environment["dtype"] == "float32"
    with torch.no_grad():
        next(other.pipeline.unet.parameters()).flatten()[0] += 1
    assert FabricSampler(other.pipeline).environment["weights"] != one.environment["weights"]
    half = FabricSampler(tiny_pipeline(tmp_path / "half").to(torch.bfloat16)).environment
    assert (half["dtype"], half["weights"] != one.environment["weights"]) == ("bfloat16", True)
