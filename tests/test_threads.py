"""The number of CPU threads follows what was measured, and changes no image."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from fabricbo.records import Action, FabricParams
from fabricbo.sampler import FabricSampler, threads
from fabricbo.sampler.threads import ThreadTunedSampler
from tests.tiny import reference

ACTION = Action(FabricParams(denoising_steps=3), (reference("red"),))


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("fastest", [1, 2])
def test_fastest_is_kept_and_measured_again_later(pipeline, monkeypatch, fastest) -> None:
    measured = []

    def seconds(self: ThreadTunedSampler, n: int, images: int) -> float:
        measured.append(n)
        return 1.0 if n == fastest else 2.0

    monkeypatch.setattr(ThreadTunedSampler, "_pass_seconds", seconds)
    sampler = ThreadTunedSampler(FabricSampler(pipeline))
    sampler(ACTION, "a cat", [1])
    assert torch.get_num_threads() == fastest
    sampler(ACTION, "a cat", [1])
    assert sorted(measured) == [1, 2]
    monkeypatch.setattr(threads, "REMEASURE_SECONDS", 0.0)
    sampler(ACTION, "a cat", [1])
    assert sorted(measured) == [1, 1, 2, 2]


def test_really_measures_and_draws_the_same(pipeline) -> None:
    plain = FabricSampler(pipeline)
    expected = np.asarray(plain(ACTION, "a cat", [1])[0])
    tuned = ThreadTunedSampler(FabricSampler(pipeline))
    assert np.array_equal(np.asarray(tuned(ACTION, "a cat", [1])[0]), expected)
    assert torch.get_num_threads() in (1, 2)
