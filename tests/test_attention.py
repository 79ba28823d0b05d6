"""The weighted attention against the plain formula."""

import pytest
import torch

from fabricbo.sampler.attention import weighted_attention


def _plain(q, k, v, rk, rv, weight):
    """Softmax written out: probabilities of reference tokens times the weight, normalised."""
    keys = torch.cat([k, rk.expand(q.shape[0], -1, -1, -1)], 2)
    values = torch.cat([v, rv.expand(q.shape[0], -1, -1, -1)], 2)
    logits = (q @ keys.transpose(-1, -2)) / q.shape[-1] ** 0.5
    mass = logits.exp() * torch.tensor([1.0] * k.shape[2] + [weight] * rk.shape[2])
    return (mass / mass.sum(-1, keepdim=True)) @ values


@pytest.mark.parametrize("weight", [1e-6, 0.05, 0.8, 1.0, 1.5, 8.0])
@pytest.mark.parametrize("reference_batch", [1, 3])
def test_equals_plain_formula(weight: float, reference_batch: int) -> None:
    g = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(3, 2, 5, 8, generator=g) for _ in range(3))
    rk, rv = (torch.randn(reference_batch, 2, 7, 8, generator=g) for _ in range(2))
    ours = weighted_attention(q, k, v, reference_key=rk, reference_value=rv, weight=weight)
    torch.testing.assert_close(ours, _plain(q, k, v, rk, rv, weight), rtol=1e-5, atol=1e-6)


def test_share_of_one_reference_is_w_over_1_plus_w() -> None:
    q = torch.zeros(1, 1, 1, 4)
    own, other = torch.zeros(1, 1, 1, 4), torch.ones(1, 1, 1, 4)
    out = weighted_attention(q, own, own, reference_key=other, reference_value=other, weight=0.25)
    torch.testing.assert_close(out, torch.full_like(out, 0.25 / 1.25))
