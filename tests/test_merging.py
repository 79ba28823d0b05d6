"""Merging of tokens that are alike."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.sampler.merging import MOST, merge_alike


def _random(tokens: int, channels: int = 6) -> torch.Tensor:
    return torch.randn(1, tokens, channels, generator=torch.Generator().manual_seed(tokens))


@given(st.integers(1, 40), st.floats(0, MOST))
def test_nothing_is_lost(tokens: int, share: float) -> None:
    hidden = _random(tokens)
    left, sizes = merge_alike(hidden, share)
    assert left.shape[1] == len(sizes) == tokens - min(int(tokens * share), tokens // 2)
    assert sizes.sum() == tokens
    together = (left[0] * sizes[:, None]).sum(0)
    torch.testing.assert_close(together, hidden[0].sum(0), rtol=1e-4, atol=1e-4)


def test_the_most_alike_become_one() -> None:
    hidden = _random(8)
    hidden[0, 5] = 2 * hidden[0, 2]  # of one direction
    left, sizes = merge_alike(hidden, 1 / 8)
    assert sizes.tolist() == [1, 2, 1, 1, 1, 1, 1]
    torch.testing.assert_close(left[0, 1], 1.5 * hidden[0, 2])
    torch.testing.assert_close(left[0, 4:], hidden[0, [1, 3, 7]])


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_equal_tokens_stay_what_they_are(share: float) -> None:
    left, sizes = merge_alike(torch.ones(1, 16, 3), share)
    assert torch.equal(left, torch.ones(1, 16 - int(16 * share), 3))
    assert sizes.max() == 1 + int(16 * share)
