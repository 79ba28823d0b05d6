"""The weighted attention against the plain formula, in all its forms."""

import math

import pytest
import torch

from fabricbo.sampler.attention import ReferenceTokens, best_form, weighted_attention

FORMS = ("masked", "widened", "merged")
BATCH, HEADS, TOKENS, CHANNELS = 3, 2, 5, 8


def _plain(q, k, v, references):
    """Softmax written out: probabilities of reference tokens times the weights, normalised."""
    keys = torch.cat([k, *(r.key.expand(len(q), -1, -1, -1) for r in references)], 2)
    values = torch.cat([v, *(r.value.expand(len(q), -1, -1, -1) for r in references)], 2)
    factors = [torch.ones(len(q), k.shape[2])]
    for r in references:
        weight = torch.as_tensor(r.weight, dtype=torch.float32).expand(len(q))
        factors.append(weight[:, None].expand(-1, r.key.shape[2]))
    mass = ((q @ keys.transpose(-1, -2)) / q.shape[-1] ** 0.5).exp()
    mass = mass * torch.cat(factors, 1)[:, None, None]
    return (mass / mass.sum(-1, keepdim=True)) @ values


def _random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _own(channels: int = CHANNELS) -> tuple[torch.Tensor, ...]:
    return tuple(_random(BATCH, HEADS, TOKENS, channels, seed=i) for i in range(3))


def _tokens(weight, seed: int, *, batch: int = 1, channels: int = CHANNELS) -> ReferenceTokens:
    key, value = (_random(batch, HEADS, 7, channels, seed=10 * seed + i) for i in range(2))
    return ReferenceTokens(key, value, weight)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weight", [0.0, 1e-6, 0.05, 0.8, 1.0, 1.5, 8.0])
@pytest.mark.parametrize("reference_batch", [1, BATCH])
def test_equals_plain_formula(form, weight, reference_batch) -> None:
    references = [_tokens(weight, 1, batch=reference_batch)]
    ours = weighted_attention(*_own(), references, form)
    torch.testing.assert_close(ours, _plain(*_own(), references), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reference_batch", [1, BATCH])
def test_a_token_of_a_size_counts_as_so_many_equal_ones(form, reference_batch) -> None:
    one = _tokens(0.7, 1, batch=reference_batch)
    sizes = torch.tensor([1, 3, 1, 2, 1, 1, 5])
    repeated = ReferenceTokens(
        one.key.repeat_interleave(sizes, 2), one.value.repeat_interleave(sizes, 2), 0.7
    )
    sized = ReferenceTokens(one.key, one.value, 0.7, sizes.float().log())
    others = [_tokens(1.5, 2)]
    ours = weighted_attention(*_own(), [sized, *others], form)
    torch.testing.assert_close(ours, _plain(*_own(), [repeated, *others]), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channels", [5, 40, 80, 160])
def test_equals_plain_formula_with_weights_by_reference_and_row(form, channels) -> None:
    by_row = torch.tensor([0.0, 0.3, 2.5])
    references = [
        _tokens(weight, seed, channels=channels)
        for seed, weight in enumerate([0.7, by_row, 0.0, by_row.flip(0), 1.9], start=1)
    ]
    ours = weighted_attention(*_own(channels), references, form)
    torch.testing.assert_close(ours, _plain(*_own(channels), references), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("form", FORMS)
def test_weight_zero_is_no_reference_at_all(form) -> None:
    query, key, value = _own()
    ours = weighted_attention(query, key, value, [_tokens(0.0, 1)], form)
    alone = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    # Sums of other lengths are rounded another way on another processor, by an ulp of 1.
    torch.testing.assert_close(ours, alone, rtol=1e-6, atol=5e-7)


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_keeps_to_its_rounding(form) -> None:
    references = [_tokens(0.8, 1), _tokens(1e-3, 2), _tokens(0.0, 3)]
    half = [ReferenceTokens(r.key.bfloat16(), r.value.bfloat16(), r.weight) for r in references]
    ours = weighted_attention(*(t.bfloat16() for t in _own()), half, form)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), _plain(*_own(), references), rtol=0.05, atol=0.03)


@pytest.mark.parametrize("form", FORMS)
def test_share_of_one_reference_is_w_over_1_plus_w(form) -> None:
    q = torch.zeros(1, 1, 1, 4)
    own, other = torch.zeros(1, 1, 1, 4), torch.ones(1, 1, 1, 4)
    out = weighted_attention(q, own, own, [ReferenceTokens(other, other, 0.25)], form)
    torch.testing.assert_close(out, torch.full_like(out, 0.25 / 1.25))


def test_large_logits_do_not_overflow() -> None:
    query, key, value = _own()
    reference = _tokens(0.5, 1)
    found = [weighted_attention(60 * query, key, value, [reference], form) for form in FORMS]
    assert all(torch.isfinite(one).all() for one in found)
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[2], found[0], rtol=1e-4, atol=1e-5)


def test_the_form_is_a_rule_so_that_the_same_call_gives_the_same_bits() -> None:
    query = _own()[0]
    assert {best_form(query) for _ in range(5)} == {best_form(query)}
    default = weighted_attention(*_own(), [_tokens(0.5, 1)])
    chosen = weighted_attention(*_own(), [_tokens(0.5, 1)], best_form(query))
    assert torch.equal(default, chosen)
    assert math.isfinite(float(default.sum()))
