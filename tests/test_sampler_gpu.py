"""The sampler on a GPU, in half precision, up to a U-Net of Stable Diffusion 1.5's full size."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from fabricbo.protocols import Drawing
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import FabricSampler, guided_noise
from fabricbo.sampler.decoding import side_stream
from tests.tiny import reference, tiny_pipeline

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
PARAMS = FabricParams(denoising_steps=6, guidance_scale=3.0)
ACTION = Action(PARAMS, (reference("red"),), (reference("blue"),))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_pipeline(tmp_path_factory.mktemp("tiny")).to("cuda", torch.float16)


def test_no_references_equals_stock_and_references_act(pipeline: Any) -> None:
    sampler = FabricSampler(pipeline)
    stock = pipeline(
        ["a cat"],
        num_inference_steps=6,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(1)],
    ).images[0]
    plain = sampler(Action(PARAMS), "a cat", [1])[0]
    assert np.array_equal(np.asarray(plain), np.asarray(stock))
    assert not np.array_equal(np.asarray(sampler(ACTION, "a cat", [1])[0]), np.asarray(stock))


def test_same_call_same_images(pipeline: Any) -> None:
    sampler = FabricSampler(pipeline)
    first = [np.asarray(image) for image in sampler(ACTION, "a cat", [1, 2])]
    sampler(Action(PARAMS), "a dog", [3])
    again = [np.asarray(image) for image in sampler(ACTION, "a cat", [1, 2])]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_images_decoded_by_another_thread_while_the_next_are_drawn_are_the_same(
    pipeline: Any,
) -> None:
    sampler = FabricSampler(pipeline)
    one, other = (Drawing(ACTION, prompt, [1, 2]) for prompt in ("a cat", "a dog"))
    expected = [np.asarray(image) for image in sampler.together([one])[0]]

    def decoded(rest: Any) -> Any:
        with side_stream(pipeline.device):
            return rest()[0]

    with ThreadPoolExecutor(1) as beside:
        for _ in range(5):
            found = beside.submit(decoded, sampler.begin([one]))
            sampler.begin([other])
            for image, same in zip(found.result(), expected, strict=True):
                assert np.array_equal(np.asarray(image), same)


def test_full_size_unet_in_half_precision() -> None:
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
    unet = unet.to("cuda", torch.float16).eval()
    g = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=g).to("cuda", torch.float16)

    call: dict[str, Any] = {
        "cond_embeds": noise(1, 77, 768),
        "uncond_embeds": noise(1, 77, 768),
        "null_embeds": noise(1, 77, 768),
        "liked_noised": noise(2, 4, 64, 64),
        "disliked_noised": noise(1, 4, 64, 64),
    }
    latents, timestep = noise(1, 4, 64, 64), torch.tensor(500, device="cuda")
    weights = {"liked_weights": (0.8, 0.8), "disliked_weights": (0.4, 0.4)}
    half = guided_noise(unet, latents, timestep, **call, **weights)
    full = guided_noise(
        unet.float(),
        latents.float(),
        timestep,
        **{name: tensor.float() for name, tensor in call.items()},
        **weights,
    )
    for ours, exact in zip(half, full, strict=True):
        assert float((ours.float() - exact).norm() / exact.norm()) < 0.02
