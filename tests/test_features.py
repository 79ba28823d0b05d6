"""The cache of reference features: budgets, two memories, what is dropped."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.sampler import features as module
from fabricbo.sampler.features import CacheUse, FeatureCache, FeatureKey, size_of
from fabricbo.sampler.surgery import Features, Projected

UNIT = 4 * 4 * 8  # bytes of the features below


def key(reference: str, step: int = 0) -> FeatureKey:
    return FeatureKey(reference, step, "a schedule")


def made(value: float = 0.0) -> Features:
    return (torch.full((1, 4, 8), value, dtype=torch.float32),)


def run(cache: FeatureCache, *references: str, steps: int = 1) -> CacheUse:
    """Ask for references step after step, as an image does; return what was found where."""
    before, cache.use = cache.use, CacheUse()
    cache.begin_run()
    for step in range(steps):
        for name in references:
            found = cache.get(key(name, step), lambda name=name: made(ord(name)))
            assert float(found[0][0, 0, 0]) == ord(name)
    met, cache.use = cache.use, before + cache.use
    return met


def test_what_fits_is_found_again() -> None:
    cache = FeatureCache(4 * UNIT)
    assert run(cache, "a", "b", steps=2) == CacheUse(misses=4)
    assert run(cache, "b", "a", steps=2) == CacheUse(hits=4)
    assert cache.bytes_held == 4 * UNIT


def test_where_not_all_fits_a_share_is_found_in_every_run() -> None:
    cache = FeatureCache(6 * UNIT)
    run(cache, "a", "b", steps=5)
    for _ in range(3):
        assert run(cache, "a", "b", steps=5) == CacheUse(hits=6, misses=4)


def test_what_two_runs_have_not_asked_for_goes_first() -> None:
    cache = FeatureCache(2 * UNIT)
    run(cache, "a", "b")
    run(cache, "c")  # a and b may be wanted again
    assert run(cache, "b") == CacheUse(hits=1)
    run(cache, "c")  # a goes
    assert run(cache, "b", "c") == CacheUse(hits=2)
    assert run(cache, "a") == CacheUse(misses=1)


def test_budget_zero_keeps_nothing_and_negative_ones_are_refused() -> None:
    cache = FeatureCache(0)
    run(cache, "a")
    assert (run(cache, "a"), cache.bytes_held) == (CacheUse(misses=1), 0)
    for budgets in ((-1, None), (1, -1)):
        with pytest.raises(ValueError, match="at least 0 bytes"):
            FeatureCache(*budgets)


def test_no_budget_takes_a_share_of_what_is_free(monkeypatch) -> None:
    monkeypatch.setattr(module, "_free_bytes", lambda device: 8 * UNIT)
    cache = FeatureCache()
    run(cache, *"abcdef")
    assert cache.bytes_held == 2 * UNIT
    assert not cache.fits(made(), 2.1)
    assert cache.fits(made(), 2)


def test_keys_and_values_count_with_both() -> None:
    projected = (Projected(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)), torch.zeros(1, 2, 2))
    assert size_of(projected) == 4 * (32 + 32 + 4)


@pytest.fixture
def behind(monkeypatch) -> Callable[[int, int], FeatureCache]:
    """A cache whose device has a host's memory behind it, as a GPU's does."""
    monkeypatch.setattr(module, "_has_host", lambda device: True)
    return FeatureCache


def test_what_does_not_fit_on_the_device_is_fetched_from_the_host(behind) -> None:
    cache = behind(2 * UNIT, 2 * UNIT)
    assert run(cache, *"abcde") == CacheUse(misses=5)
    assert cache.bytes_held == 4 * UNIT
    assert run(cache, *"abcde") == CacheUse(hits=2, fetched=2, misses=1)


def test_what_leaves_the_device_goes_to_the_host(behind) -> None:
    cache = behind(UNIT, 2 * UNIT)
    run(cache, "a")
    run(cache)
    run(cache, "b")
    assert run(cache, "a", "b") == CacheUse(hits=1, fetched=1)


def test_prefetched_features_are_the_same(behind) -> None:
    cache = behind(0, 4 * UNIT)
    run(cache, "a", "b")
    cache.begin_run()
    cache.prefetch([key("a"), key("b"), key("unknown")])
    assert float(cache.get(key("b"), made)[0][0, 0, 0]) == ord("b")
    cache.prefetch([])
    assert float(cache.get(key("a"), made)[0][0, 0, 0]) == ord("a")
    assert cache.use == CacheUse(fetched=2, misses=2)


@given(st.integers(0, 5), st.integers(0, 5), st.lists(st.text("abcdefgh", max_size=6), max_size=12))
def test_budgets_hold_and_answers_are_right_whatever_is_asked(device, host, runs) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_has_host", lambda device: True)
        cache = FeatureCache(device * UNIT, host * UNIT)
        for references in runs:
            use = run(cache, *references)
            assert use.hits + use.fetched + use.misses == len(references)
            assert cache.bytes_held <= (device + host) * UNIT
