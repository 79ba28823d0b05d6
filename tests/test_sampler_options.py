"""Options that save memory or time: fewer images at once, references one by one, some levels."""

from typing import Any

import numpy as np
import pytest
import torch

from fabricbo.protocols import Drawing
from fabricbo.records import Action
from fabricbo.sampler import (
    FabricSampler,
    FeedbackInputs,
    SamplerOptions,
    Share,
    shared_feedback,
)
from fabricbo.sampler.batches import StepCallback
from fabricbo.sampler.surgery import levels_of, patched
from tests.test_sampler import BLUE, GREEN, RED, action, pixels, use

STRONG: Action = action((RED, GREEN), (BLUE,), max_weight=1.2)


def drawn(pipeline: Any, on_step: StepCallback | None = None, **options: Any) -> np.ndarray:
    sampler = FabricSampler(pipeline, SamplerOptions(**options))
    return pixels(sampler(STRONG, "a cat", [1, 2, 3], on_step=on_step))


def rows_of_passes(pipeline: Any) -> list[int]:
    rows: list[int] = []
    pipeline.unet.conv_in.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    return rows


@pytest.mark.parametrize("most", [1, 2])
def test_fewer_images_at_once_are_the_same(pipeline: Any, most: int) -> None:
    expected = drawn(pipeline)
    rows = rows_of_passes(pipeline)
    assert np.abs(drawn(pipeline, images_at_once=most) - expected).max() <= 1
    assert max(rows) == 2 * most


def test_drawings_are_parted_between_batches(pipeline: Any) -> None:
    drawings = [
        Drawing(STRONG, "a cat", [1, 2, 3]),
        Drawing(action((), ()), ["a dog", "a mat"], [4, 5]),
    ]
    whole = FabricSampler(pipeline).together(drawings)
    rows = rows_of_passes(pipeline)
    parted = FabricSampler(pipeline, SamplerOptions(images_at_once=2)).together(drawings)
    assert [len(images) for images in parted] == [3, 2]
    for one, other in zip(parted, whole, strict=True):
        assert np.abs(pixels(one) - pixels(other)).max() <= 1
    assert (max(rows), rows[-1]) == (4, 2)


def test_steps_are_counted_over_all_batches(pipeline: Any) -> None:
    told: list[tuple[int, int]] = []
    drawn(pipeline, on_step=lambda step, steps: told.append((step, steps)), images_at_once=2)
    assert told == [(step, 12) for step in range(1, 13)]


def test_lean_gives_the_same_images_and_keeps_no_keys_and_values(pipeline: Any) -> None:
    usual = FabricSampler(pipeline)
    lean = FabricSampler(pipeline, SamplerOptions(lean=True))
    found, expected = (pixels(s(STRONG, "a cat", [1, 2])) for s in (lean, usual))
    assert np.abs(found - expected).max() <= 1
    assert lean.cache.bytes_held == usual.cache.bytes_held / 2


def test_all_levels_are_the_usual_feedback(pipeline: Any) -> None:
    every = tuple(sorted(levels_of(pipeline.unet)))
    assert np.array_equal(drawn(pipeline, feedback_levels=every), drawn(pipeline))


def test_some_levels_act_alone_and_cost_less(pipeline: Any) -> None:
    outermost, *_, bottleneck = sorted(levels_of(pipeline.unet))
    whole, none = drawn(pipeline), pixels(FabricSampler(pipeline)(action((), ()), "a cat", [1]))
    sampler = FabricSampler(pipeline, SamplerOptions(feedback_levels=(bottleneck,)))
    ended: list[int] = []
    pipeline.unet.up_blocks[-1].register_forward_hook(lambda *_: ended.append(1))
    some = pixels(sampler(STRONG, "a cat", [1, 2, 3]))
    assert len(ended) == 6  # passes of references end at the bottleneck
    assert not np.array_equal(some, whole)
    assert not np.array_equal(some[0], none[0])
    with patched(pipeline.unet, [outermost]) as patch:
        assert {layer.level for layer in patch.layers} == {outermost}


def test_levels_that_the_network_does_not_have_are_refused(pipeline: Any) -> None:
    for levels in ((), (9,)):
        with pytest.raises(ValueError, match="feedback can act at levels"):
            FabricSampler(pipeline, SamplerOptions(feedback_levels=levels))


def test_no_image_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="images_at_once must be at least 1"):
        SamplerOptions(images_at_once=0)


def test_merging_tokens_keeps_less_and_changes_images_a_little(pipeline: Any) -> None:
    usual, merging = (
        FabricSampler(pipeline, SamplerOptions(merge_tokens=share)) for share in (0.0, 0.5)
    )
    found, expected = (pixels(s(STRONG, "a cat", [1, 2])) for s in (merging, usual))
    none = pixels(FabricSampler(pipeline)(action((), ()), "a cat", [1, 2]))
    assert 0 < np.abs(found - expected).mean() < np.abs(found - none).mean()
    assert merging.cache.bytes_held < 0.6 * usual.cache.bytes_held
    assert np.array_equal(pixels(merging(STRONG, "a cat", [1, 2])), found)
    lean = FabricSampler(pipeline, SamplerOptions(merge_tokens=0.5, lean=True))
    assert np.abs(pixels(lean(STRONG, "a cat", [1, 2])) - found).max() <= 1


@pytest.mark.parametrize("budget", [None, 0])
def test_a_stride_runs_references_at_some_steps_only(pipeline: Any, budget: int | None) -> None:
    usual, striding = (
        FabricSampler(pipeline, SamplerOptions(reference_stride=n, cache_bytes=budget))
        for n in (1, 2)
    )
    expected, none = (pixels(usual(a, "a cat", [1, 2])) for a in (STRONG, action((), ())))
    rows = rows_of_passes(pipeline)
    found = pixels(striding(STRONG, "a cat", [1, 2]))
    # 6 steps, all in the window: 3 references at steps 0, 2 and 4.
    assert sum(rows) - 6 * 4 == 3 * 3
    assert 0 < np.abs(found - expected).mean() < np.abs(found - none).mean() / 2
    rows.clear()
    again = pixels(striding(STRONG, "a cat", [1, 2]))
    assert np.array_equal(again, found)
    assert sum(rows) == 6 * 4 + (0 if budget is None else 9)
    if budget is None:
        assert striding.cache.bytes_held == usual.cache.bytes_held / 2


def test_a_stride_as_long_as_the_run_takes_the_first_step_for_all(pipeline: Any) -> None:
    sampler = FabricSampler(pipeline, SamplerOptions(reference_stride=100))
    rows = rows_of_passes(pipeline)
    sampler(STRONG, "a cat", [1])
    assert sum(rows) - 6 * 2 == 3


def test_a_stride_does_nothing_with_a_scheduler_of_second_order(pipeline: Any) -> None:
    use(pipeline, "heun")
    assert np.array_equal(drawn(pipeline, reference_stride=2), drawn(pipeline))


def test_no_stride_is_refused() -> None:
    for call in (
        lambda: SamplerOptions(reference_stride=0),
        lambda: FeedbackInputs(torch.zeros(1, 16, 32), stride=0),
    ):
        with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
            call()


@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_shares_that_cannot_be_merged_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"merge_tokens must be between 0 and 0\.5"):
        SamplerOptions(merge_tokens=share)


def test_nothing_of_a_reference_pass_outlives_it(pipeline: Any) -> None:
    import gc
    import weakref

    from fabricbo.sampler.reference_pass import features_of

    met: list[weakref.ref[torch.Tensor]] = []
    pipeline.unet.down_blocks[0].resnets[0].register_forward_hook(
        lambda _, __, found: met.append(weakref.ref(found))
    )
    gc.disable()
    try:
        with torch.no_grad(), patched(pipeline.unet) as patch:
            features_of(patch, pipeline.unet, torch.zeros(1, 4, 8, 8), 5, torch.zeros(1, 16, 32))
        assert [ref() for ref in met] == [None]
    finally:
        gc.enable()


def test_images_of_a_batch_need_the_same_shortcuts(pipeline: Any) -> None:
    inputs = [FeedbackInputs(torch.zeros(1, 16, 32), merge=share) for share in (0.0, 0.5)]
    shares = [Share(1, STRONG.params, one) for one in inputs]
    with (
        pytest.raises(ValueError, match="the same levels, lean, merge and"),
        shared_feedback(pipeline.unet, pipeline.scheduler, shares),
    ):
        pass
