"""Compiled networks: feedback acts as without, and nothing is compiled again and again."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fabricbo.records import Action
from fabricbo.sampler import Checkpoint, FabricSampler, SamplerOptions, compiling, load_pipeline
from fabricbo.sampler.environment import environment_of
from fabricbo.sampler.networks import network_of
from fabricbo.study.settings import check_settings
from tests.test_sampler import BLUE, RED, action, pixels
from tests.tiny import tiny_pipeline
from tests.tiny_transformers import tiny_flux, tiny_sd3

PLAIN, FED = action((), (), denoising_steps=2), action((RED,), (BLUE,), denoising_steps=2)
SIZE = SamplerOptions(width=32, height=32)
NETWORKS = pytest.mark.parametrize(
    "tiny",
    [
        tiny_pipeline,
        lambda folder: tiny_sd3(folder=folder),
        lambda folder: tiny_flux(folder=folder),
    ],
    ids=["unet", "sd3", "flux"],
)
Tiny = Callable[[Path], Any]


def drawn(pipeline: Any, what: Action) -> np.ndarray:
    return pixels(FabricSampler(pipeline, SIZE)(what, "a cat", [1, 2]))


def compiled(pipeline: Any, backend: str) -> Any:
    torch._dynamo.reset()
    compiling.compile_blocks(network_of(pipeline), backend)
    return pipeline


def check_same(pipeline: Any, usual: Any) -> None:
    found = [drawn(pipeline, what) for what in (PLAIN, FED, PLAIN)]
    expected = [drawn(usual, what) for what in (PLAIN, FED, PLAIN)]
    assert np.abs(expected[0] - expected[1]).max() > 1  # feedback acts
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() <= 1


@NETWORKS
def test_what_is_traced_is_the_same(tmp_path: Path, tiny: Tiny) -> None:
    traced = compiled(tiny(folder=tmp_path), "eager")
    before = network_of(traced).attn_processors
    check_same(traced, tiny(folder=tmp_path))
    after = network_of(traced).attn_processors
    assert all(after[name] is found for name, found in before.items())
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert graphs > 0
    for _ in range(3):  # with processors that are put in anew each time
        drawn(traced, FED)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@NETWORKS
def test_what_is_compiled_is_the_same_up_to_rounding(tmp_path: Path, tiny: Tiny) -> None:
    check_same(compiled(tiny(folder=tmp_path), "inductor"), tiny(folder=tmp_path))


def test_what_was_drawn_with_says_so(tmp_path: Path, pipeline: Any) -> None:
    assert "compiled" not in environment_of(pipeline)
    traced = compiled(tiny_pipeline(tmp_path), "eager")
    found, usual = environment_of(traced), environment_of(pipeline)
    assert found == {**usual, "compiled": True}


def test_a_checkpoint_is_compiled_where_that_is_asked_for(monkeypatch: Any) -> None:
    assert not compiling.is_compiled(load_pipeline(Checkpoint("demo", device="cpu")).unet)
    monkeypatch.setattr(compiling.shutil, "which", lambda name: "/usr/bin/g++")
    checkpoint = Checkpoint("demo", device="cpu", compile=True)
    assert compiling.is_compiled(load_pipeline(checkpoint).unet)  # when it is first used


@pytest.mark.parametrize(("device", "missing"), [("cpu", "C.. compiler"), ("cuda", "Triton")])
def test_nothing_that_compiles_is_said_at_once(monkeypatch: Any, device: str, missing: str) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    monkeypatch.setattr(compiling, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=f"compile needs .*{missing}"):
        compiling.check_compiler(device)


def test_it_is_kept_with_a_study_where_it_is_on() -> None:
    kept = [
        check_settings({"name": "a", "prompt": "a cat", "checkpoint": given}).model_dump()
        for given in ({}, {"compile": True})
    ]
    assert "compile" not in kept[0]["checkpoint"]
    assert kept[1]["checkpoint"]["compile"] is True
