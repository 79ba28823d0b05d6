"""Raters' noise and bias."""

import math

import pytest
import torch
from botorch.models.likelihoods.pairwise import PairwiseProbitLikelihood

from fabricbo.proposers.raters import ENOUGH, Habit, RaterLikelihood, Voice, habits

VOICES = [Voice(1, 1), Voice(1, -1), Voice(2, 1), Voice(None, 0)]
D = torch.tensor([[1.0, -1, 0], [0, 1, -1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64)
UTILITY = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)


def test_neutral_raters_are_botorchs_probit() -> None:
    ours, theirs = RaterLikelihood(VOICES, {}), PairwiseProbitLikelihood()
    for name in ("p", "log_p", "negative_log_gradient_sum", "negative_log_hessian_sum"):
        found, expected = getattr(ours, name)(UTILITY, D), getattr(theirs, name)(UTILITY, D)
        assert torch.allclose(found, expected, atol=1e-12), name


def test_gradient_and_hessian_are_those_of_the_probability() -> None:
    ours = RaterLikelihood(VOICES, {1: Habit(2.0, 0.4), 2: Habit(0.5, -0.3)})

    def negative_log(utility):
        return -ours.log_p(utility, D).sum()

    gradient = torch.autograd.functional.jacobian(negative_log, UTILITY)
    hessian = torch.autograd.functional.hessian(negative_log, UTILITY)
    assert torch.allclose(ours.negative_log_gradient_sum(UTILITY, D), gradient, atol=1e-8)
    assert torch.allclose(ours.negative_log_hessian_sum(UTILITY, D), hessian, atol=1e-8)
    expected = 0.5 * (1 + math.erf((0.3 + 0.2 + 0.4) / 2.0 / math.sqrt(2) / math.sqrt(2)))
    assert float(ours.p(UTILITY, D)[0]) == pytest.approx(expected)


def votes(rater: int, noise: float, bias: float, count: int, seed: int):
    """Return voices and gains of a rater who judges random pairs."""
    draw = torch.Generator().manual_seed(seed)
    gaps = torch.randn(count, generator=draw, dtype=torch.float64) * 2  # left less right
    error = torch.randn(count, generator=draw, dtype=torch.float64) * noise * math.sqrt(2)
    left = gaps + bias + error > 0
    voices = [Voice(rater, 1 if chosen else -1) for chosen in left.tolist()]
    return voices, torch.where(left, gaps, -gaps)


def test_noisy_and_one_sided_raters_are_found() -> None:
    parts = [votes(1, 0.7, 0.0, 150, 1), votes(2, 3.0, 0.0, 150, 2), votes(3, 0.7, 1.2, 150, 3)]
    voices = [voice for some, _ in parts for voice in some]
    found = habits(voices, torch.cat([gains for _, gains in parts]))
    assert found[2].noise > 2 * found[1].noise
    assert abs(found[1].bias) < 0.5
    assert found[3].bias > 0.6


def test_a_single_rater_has_the_common_noise_and_few_votes_say_nothing() -> None:
    voices, gains = votes(1, 5.0, 0.0, 60, 4)
    assert habits(voices, gains)[1].noise == pytest.approx(1.0)
    assert habits(voices[: ENOUGH - 1], gains[: ENOUGH - 1]) == {}
