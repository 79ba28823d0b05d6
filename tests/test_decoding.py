"""Decoding apart from the pipeline's call: the same images, whoever decodes and when."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fabricbo.compose import _beside
from fabricbo.executors import InlineExecutor
from fabricbo.protocols import Drawing
from fabricbo.records import Action
from fabricbo.sampler import FabricSampler, SamplerOptions
from fabricbo.sampler.decoding import Undecoded, can_decode, decode, side_stream
from fabricbo.scoring import Placement
from fabricbo.study import Parts, Study
from fabricbo.study.settings import check_settings
from tests.fakes import UnitProposer, fake_study, redness
from tests.test_sampler import BLUE, RED, action, pixels
from tests.tiny import tiny_pipeline, tiny_xl_pipeline
from tests.tiny_transformers import tiny_sd3

ONE: Action = action((RED,), (BLUE,))


def lcm_pipeline(folder: Path) -> Any:
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    parts = tiny_pipeline(folder, time_cond_proj_dim=32).components
    parts["scheduler"] = LCMScheduler()
    pipeline = LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


MAKERS = {
    "1.x": tiny_pipeline,
    "tiny autoencoder": partial(tiny_pipeline, vae="tiny"),
    "xl": tiny_xl_pipeline,
    "lcm": lcm_pipeline,
    "3": lambda folder: tiny_sd3(folder=folder),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("most", [None, 2])
def test_what_is_decoded_later_is_the_same(tmp_path: Path, kind: str, most: int | None) -> None:
    pipeline = MAKERS[kind](tmp_path)
    if kind == "xl":
        pipeline.vae.register_to_config(latents_mean=[0.1] * 4, latents_std=[0.9] * 4)
    sampler = FabricSampler(pipeline, SamplerOptions(images_at_once=most))
    drawings = [Drawing(ONE, "a cat", [1, 2, 3]), Drawing(action((), ()), "a dog", [4])]
    expected = sampler.together(drawings)
    assert can_decode(pipeline)
    decoded: list[int] = []
    usual = pipeline.vae.decode
    pipeline.vae.decode = lambda *given, **more: (decoded.append(1), usual(*given, **more))[1]
    rest = sampler.begin(drawings)
    assert not decoded
    found = rest()
    assert [len(images) for images in found] == [3, 1]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(pixels(one), pixels(other))


def test_what_a_pipeline_does_besides_is_left_to_it(pipeline: Any, monkeypatch: Any) -> None:
    sampler = FabricSampler(pipeline)
    expected = pixels(sampler(ONE, "a cat", [1]))
    monkeypatch.setattr("fabricbo.sampler.decoding.PIPELINE_NAMES", frozenset())
    assert not can_decode(pipeline)
    ((image,),) = sampler.begin([Drawing(ONE, "a cat", [1])])()
    assert np.array_equal(pixels([image]), expected)


def test_where_memory_is_short_images_are_decoded_one_by_one(pipeline: Any) -> None:
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = decode(pipeline, latents)
    usual = pipeline.vae.decode

    def small(given: torch.Tensor, **more: Any) -> Any:
        if len(given) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(given, **more)

    pipeline.vae.decode = small
    try:
        found = Undecoded.of(pipeline, [latents], nullcontext()).images()
    finally:
        pipeline.vae.decode = usual
    assert np.abs(pixels(found) - pixels(expected)).max() <= 1


def test_a_study_that_decodes_and_scores_beside_drawing_is_the_same(
    tmp_path: Path, pipeline: Any
) -> None:
    def run(name: str, beside: Any) -> Study:
        space = {"denoising_steps": 3}
        study = fake_study(tmp_path, name=name, trials=3, space=space, growing={"grow_liked": 1})
        executor = partial(InlineExecutor, ahead=1, beside=beside)
        parts = Parts(UnitProposer(), FabricSampler(pipeline), redness, executor=executor)
        study.close()
        study = Study.open(study.folder, parts)
        study.run()
        study.close()
        return study

    one, other = run("alone", None), run("beside", nullcontext)
    assert len(one.trials) > 3
    for first, second in zip(one.trials, other.trials, strict=True):
        assert (first.action, first.images) == (second.action, second.images)
        assert first.score == second.score


def test_a_cpu_has_no_streams() -> None:
    with pytest.raises(ValueError, match="only a CUDA device has streams, got cpu"):
        side_stream(torch.device("cpu"))


@pytest.mark.parametrize(
    ("device", "checkpoint", "offload", "expected"),
    [
        ("cuda", {}, False, True),
        ("cuda", {}, True, False),
        ("cuda", {"lean": True}, False, False),
        ("cuda", {"images_at_once": 1}, False, False),
        ("cuda", {"max_memory_gb": 6.0}, False, False),
        ("cpu", {}, False, False),
    ],
)
def test_it_is_done_where_a_gpu_has_room(
    device: str, checkpoint: dict[str, Any], offload: bool, expected: bool
) -> None:
    sampler = FabricSampler.__new__(FabricSampler)
    sampler.pipeline = SimpleNamespace(device=torch.device(device))
    settings = check_settings({"name": "a", "prompt": "a cat", "checkpoint": checkpoint})
    found = _beside(sampler, settings, Placement(device, offload))
    assert (found is not None) == expected
