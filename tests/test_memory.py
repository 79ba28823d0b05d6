"""`max_memory`: what feedback holds beyond plain sampling is bounded, and measured to be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.sampler_speed.cost import peak_bytes
from experiments.sampler_speed.unet import random_unet
from fabricbo.cli.running import How
from fabricbo.compose import create_study
from fabricbo.demo import pool_folder
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import FabricSampler, SamplerOptions
from fabricbo.sampler.features import FeatureCache, FeatureKey
from fabricbo.sampler.memory import (
    Ask,
    Batch,
    FeatureSizes,
    LayerSize,
    Wish,
    batches_of,
    feature_sizes,
    need,
    plan_within,
)
from fabricbo.study import SettingsError
from fabricbo.study.pool import most_references
from fabricbo.study.settings import check_settings
from tests.test_features import UNIT, made
from tests.test_sampler import BLUE, GREEN, RED, action, pixels
from tests.tiny import reference, tiny_pipeline

SIZES = FeatureSizes([LayerSize(64, 16, 16, 4)], torch.float32, torch.device("cpu"))
FEATURE = 64 * 16 * 4  # bytes of one reference at one step, as hidden states
PARAMS = FabricParams(feedback_end=1.0, neg_scale=1.0, guidance_scale=3.0, denoising_steps=2)
BOTH = Action(PARAMS, (RED, GREEN), (BLUE, reference("white")))


@pytest.fixture(scope="module")
def drawing_only(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A pipeline of which the U-Net alone needs memory: nothing is decoded."""
    pipeline = tiny_pipeline(tmp_path_factory.mktemp("tiny"))
    pipeline.register_modules(unet=random_unet("tiny", 16, "cpu"))
    pipeline.vae.decode = lambda latents, **_: (torch.zeros(len(latents), 3, 8, 8),)
    return pipeline


def beyond_plain(sampler: FabricSampler, drawn: Action, seeds: list[int]) -> int:
    """Return the most bytes that drawing holds at once beyond what it holds without references."""

    def peak(one: Action) -> int:
        way: Callable[[], Any] = lambda: sampler(one, "a cat", seeds)  # noqa: E731
        return peak_bytes(way)

    sampler._encoder(drawn.liked, *sampler.size)  # latents of references are not counted
    sampler._encoder(drawn.disliked, *sampler.size)
    kept = sampler.cache.bytes_held
    plain = FabricSampler(sampler.pipeline)
    without = Action(drawn.params)
    return peak(drawn) + kept - peak_bytes(lambda: plain(without, "a cat", seeds))


@pytest.mark.parametrize(
    ("images", "factor", "merge"),
    [(1, 1.0, 0.0), (1, 3.0, 0.0), (2, 1.3, 0.0), (1, 1.0, 0.5), (2, 3.0, 0.5)],
)
def test_the_bound_is_kept(drawing_only: Any, images: int, factor: float, merge: float) -> None:
    sizes = feature_sizes(drawing_only.unet, (16, 16), None, merge)
    least = need(sizes, Batch([(1, 2), (1, 2)]), lean=True)
    bound = int(least * factor)
    sampler = FabricSampler(drawing_only, SamplerOptions(max_memory=bound, merge_tokens=merge))
    free = FabricSampler(drawing_only, SamplerOptions(merge_tokens=merge))
    seeds = list(range(images))
    cold, warm = (beyond_plain(sampler, BOTH, seeds) for _ in range(2))
    assert max(cold, warm) <= bound
    assert images > 1 or max(cold, warm) > least / 4  # the sum is no wild guess
    found, expected = (pixels(one(BOTH, "a cat", seeds)) for one in (sampler, free))
    assert np.abs(found - expected).max() <= 1


def test_the_bound_is_kept_without_guidance(drawing_only: Any) -> None:
    """Attention is pushed away from what is disliked, in the same rows."""
    off = replace(BOTH, params=replace(PARAMS, guidance_scale=1.0))
    least = need(feature_sizes(drawing_only.unet, (16, 16)), Batch([(1, 2), (1, 2)]), lean=True)
    sampler = FabricSampler(drawing_only, SamplerOptions(max_memory=least))
    assert 0 < max(beyond_plain(sampler, off, [0, 1]) for _ in range(2)) <= least


def test_without_a_bound_more_is_held(drawing_only: Any) -> None:
    least = need(feature_sizes(drawing_only.unet, (16, 16)), Batch([(1, 2), (1, 2)]), lean=True)
    longer = replace(BOTH, params=replace(PARAMS, denoising_steps=4))
    assert beyond_plain(FabricSampler(drawing_only), longer, [0]) > least
    assert (
        beyond_plain(FabricSampler(drawing_only, SamplerOptions(max_memory=least)), longer, [0])
        <= least
    )


def test_the_bound_is_kept_where_references_serve_two_steps(drawing_only: Any) -> None:
    least = need(feature_sizes(drawing_only.unet, (16, 16)), Batch([(1, 2), (1, 2)]), lean=True)
    longer = replace(BOTH, params=replace(PARAMS, denoising_steps=4))
    sampler = FabricSampler(drawing_only, SamplerOptions(max_memory=least, reference_stride=2))
    assert max(beyond_plain(sampler, longer, [0]) for _ in range(2)) <= least


def test_less_than_the_least_is_refused_before_anything_is_drawn(drawing_only: Any) -> None:
    sizes = feature_sizes(drawing_only.unet, (16, 16))
    least = need(sizes, Batch([(1, 2), (1, 2)]), lean=True)
    sampler = FabricSampler(drawing_only, SamplerOptions(max_memory=least - 1))
    passes: list[int] = []
    hook = drawing_only.unet.register_forward_pre_hook(lambda *_: passes.append(1))
    with pytest.raises(ValueError, match=r"max_memory must be at least 0\.00\d+ GB for 4 refer"):
        sampler(BOTH, "a cat", [1])
    with pytest.raises(ValueError, match="for 4 references"):
        sampler.check_memory(2, 2)
    sampler.check_memory(1, 2)
    hook.remove()
    assert not passes


def test_the_least_that_is_named_is_enough(drawing_only: Any) -> None:
    with pytest.raises(ValueError, match="must be at least") as caught:
        FabricSampler(drawing_only, SamplerOptions(max_memory=1)).check_memory(4, 4)
    named = float(str(caught.value).split("at least ")[1].split(" GB")[0])
    options = SamplerOptions(max_memory=round(named * 1e9))
    FabricSampler(drawing_only, options).check_memory(4, 4)


def test_no_references_need_nothing(drawing_only: Any) -> None:
    sampler = FabricSampler(drawing_only, SamplerOptions(max_memory=1))
    assert len(sampler(Action(PARAMS), "a cat", [1, 2])) == 2


def planned(bound: int, images: int = 4, features: int = 12, **wish: Any) -> Any:
    return plan_within(bound, SIZES, [Ask(images, 2, 1)], features, Wish(**wish))


def test_with_plenty_all_images_go_at_once_and_features_are_keys_and_values() -> None:
    plan = planned(1_000_000)
    assert (plan.lean, plan.images_at_once) == (False, 4)
    assert plan.cache_bytes >= 12 * 2 * FEATURE


def test_with_less_references_are_lean_then_fewer_images_go_at_once() -> None:
    plenty = 1_000_000 - planned(1_000_000).cache_bytes + 12 * 2 * FEATURE
    assert not planned(plenty).lean
    lean = planned(plenty - 1)
    assert (lean.lean, lean.images_at_once) == (True, 4)
    few = planned(plenty - 1 - lean.cache_bytes + 12 * FEATURE - 1)
    assert few.lean and few.images_at_once < 4
    assert few.cache_bytes >= 12 * FEATURE


@pytest.mark.parametrize("bound", range(80_000, 400_000, 20_000))
def test_a_plan_never_needs_more_than_the_bound(bound: int) -> None:
    plan = planned(bound)
    batches = batches_of([Ask(4, 2, 1)], plan.images_at_once)
    most = max(need(SIZES, batch, lean=plan.lean) for batch in batches)
    assert plan.cache_bytes + most == bound


def test_what_is_settled_stays() -> None:
    plan = planned(1_000_000, cache_bytes=5, lean=True, images_at_once=2)
    assert (plan.cache_bytes, plan.lean, plan.images_at_once) == (5, True, 2)
    with pytest.raises(ValueError, match=r"beside a cache of 0\.001 GB and 2 images at once"):
        planned(1_000_000, cache_bytes=1_000_000, images_at_once=2)


def test_images_share_batches_in_order() -> None:
    asks = [Ask(3, 1, 2), Ask(2, 0, 4)]
    assert [one.groups for one in batches_of(asks, 2)] == [
        [(2, 1), (2, 2)],
        [(1, 1), (1, 2), (1, 4)],
        [(1, 4)],
    ]
    assert batches_of(asks, None)[0].references == 7


def test_a_smaller_cache_lets_go_of_the_oldest() -> None:
    cache = FeatureCache(4 * UNIT)
    for step in range(4):
        cache.get(FeatureKey("a", step, None), made)
    cache.resize(2 * UNIT)
    assert cache.bytes_held == 2 * UNIT
    cache.get(FeatureKey("a", 3, None), made)
    assert (cache.use.hits, cache.use.misses) == (1, 4)
    with pytest.raises(ValueError, match="at least 0 bytes"):
        cache.resize(-1)


def test_no_memory_is_refused(pipeline: Any) -> None:
    with pytest.raises(ValueError, match="max_memory must be above 0 bytes, got 0"):
        SamplerOptions(max_memory=0)
    with pytest.raises(ValueError, match="at least one seed"):
        FabricSampler(pipeline, SamplerOptions(max_memory=10**9))(action(), "a cat", [])


def test_a_study_is_told_before_anything_is_drawn(tmp_path: Path) -> None:
    settings = {
        "name": "short",
        "prompt": "a cat",
        "storage": tmp_path,
        "objective": "colourfulness",
        "pool": {"folder": pool_folder()},
        "space": {"max_liked": 2, "max_disliked": 0},
    }
    with pytest.raises(ValueError, match=r"max_memory must be at least 0\.\d+ GB for 2 references"):
        create_study({**settings, "checkpoint": {"name": "demo", "max_memory_gb": 1e-6}})
    assert not list(tmp_path.iterdir())


def test_how_many_references_an_action_can_have(tmp_path: Path) -> None:
    def most(**pool: Any) -> tuple[int, int]:
        settings = {"name": "a", "prompt": "a cat", "pool": pool}
        return most_references(check_settings({**settings, "space": {"max_disliked": 3}}))

    for color in ("red", "blue", "green", "white", "black"):
        reference(color).image.save(tmp_path / f"{color}.png")
    assert most() == (0, 0)
    assert most(folder=tmp_path) == (4, 1)
    assert most(folder=tmp_path, grow_liked=1) == (4, 3)
    assert most(folder=tmp_path / "gone") == (4, 3)


def test_a_bound_is_kept_with_the_study_where_there_is_one() -> None:
    plain = check_settings({"name": "a", "prompt": "a cat", "checkpoint": {"name": "demo"}})
    assert "max_memory_gb" not in plain.model_dump(mode="json")["checkpoint"]
    bounded = How(max_memory="500 MB").in_place_of(plain)
    assert bounded.checkpoint.max_memory_gb == 0.5
    stored = bounded.model_dump(mode="json")
    assert stored["checkpoint"]["max_memory_gb"] == 0.5
    assert check_settings(stored) == bounded
    for said in ("much", "-1GB"):
        with pytest.raises(SettingsError, match="--max-memory must be a size such as 6GB"):
            How(max_memory=said).in_place_of(plain)
