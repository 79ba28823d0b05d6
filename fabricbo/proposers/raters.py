"""What each rater's word is worth: noise and a leaning to one side, learnt from all votes.

Rater r prefers action a, shown on side s (+1 left, -1 right), to b with probability
Phi((u_a - u_b + s beta_r) / (sqrt(2) sigma_r)): the probit of Chu and Ghahramani (2005) with a
noise and a bias of the rater's own. They are set to their posterior mode on a grid, given the
utilities of a first fit in which all are alike, and the utilities are then fitted again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from botorch.models.likelihoods.pairwise import PairwiseProbitLikelihood
from torch import Tensor
from torch.special import log_ndtr

ENOUGH = 8
"""Comparisons from which on a rater has a noise and a bias of their own."""
_NOISE = torch.linspace(-1.2, 2.0, 33, dtype=torch.float64).exp()
"""Noises that are looked at, in units of what raters have in common."""
_BIAS = torch.linspace(-2.0, 2.0, 41, dtype=torch.float64)
_NOISE_PRIOR = 0.6
"""Standard deviation of the logarithm of a rater's noise."""
_BIAS_PRIOR = 0.5
"""Standard deviation of a rater's bias, in units of utility."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who said that something is better, and where it was shown."""

    rater: int | None = None
    """None for the study's owner."""
    side: int = 0
    """1 where the better one was on the left, -1 on the right, 0 where nobody knows."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How a rater judges."""

    noise: float = 1.0
    """In units of what raters have in common."""
    bias: float = 0.0
    """What being on the left is worth, in units of utility."""


class RaterLikelihood(PairwiseProbitLikelihood):  # type: ignore[misc]
    """BoTorch's probit likelihood of comparisons, each with a noise and a shift of its own.

    Dividing a comparison's row by its noise scales value, gradient and Hessian alike.
    """

    def __init__(self, voices: Sequence[Voice], habits: dict[int | None, Habit]) -> None:
        """Take one voice a comparison, in their order, and what is known of those raters."""
        super().__init__()
        known = [habits.get(voice.rater, Habit()) for voice in voices]
        shift = [habit.bias * voice.side for habit, voice in zip(known, voices, strict=True)]
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float64))
        noise = torch.tensor([habit.noise for habit in known], dtype=torch.float64)
        self.register_buffer("precision", 1 / noise)

    def _calc_z(self, utility: Tensor, D: Tensor) -> Tensor:  # noqa: N803  # BoTorch's letter
        scaled = (D.to(utility) @ utility.unsqueeze(-1)).squeeze(-1)
        z = (scaled + self.shift * self.precision) / math.sqrt(2)
        return torch.clamp(z, -self._zlim, self._zlim)

    def p(self, utility: Tensor, D: Tensor, log: bool = False) -> Tensor:  # noqa: N803
        value: Tensor = super().p(utility, self._weighed(D), log)
        return value

    def negative_log_gradient_sum(self, utility: Tensor, D: Tensor) -> Tensor:  # noqa: N803
        value: Tensor = super().negative_log_gradient_sum(utility, self._weighed(D))
        return value

    def negative_log_hessian_sum(self, utility: Tensor, D: Tensor) -> Tensor:  # noqa: N803
        value: Tensor = super().negative_log_hessian_sum(utility, self._weighed(D))
        return value

    def _weighed(self, D: Tensor) -> Tensor:  # noqa: N803
        weighed: Tensor = D * self.precision.unsqueeze(-1)
        return weighed


def habits(voices: Sequence[Voice], gains: Tensor) -> dict[int | None, Habit]:
    """Return how those raters judge who have said enough.

    Only how raters differ can be told from the utilities, not what they have in common: noises
    are relative to their geometric mean, and a single rater's is 1.

    Args:
        voices: one a comparison.
        gains: utility of the better less that of the worse, one a comparison.
    """
    found: dict[int | None, Habit] = {}
    weights: dict[int | None, int] = {}
    for rater in dict.fromkeys(voice.rater for voice in voices):
        mine = [i for i, voice in enumerate(voices) if voice.rater == rater]
        if len(mine) >= ENOUGH:
            sides = torch.tensor([voices[i].side for i in mine], dtype=torch.float64)
            found[rater] = _habit(gains[mine].double(), sides)
            weights[rater] = len(mine)
    total = sum(weights.values())
    logs = sum(weights[rater] * math.log(habit.noise) for rater, habit in found.items())
    common = math.exp(logs / total) if total else 1.0
    return {rater: Habit(habit.noise / common, habit.bias) for rater, habit in found.items()}


def _habit(gains: Tensor, sides: Tensor) -> Habit:
    """Return the posterior mode on the grid."""
    noise, bias = _NOISE[:, None], _BIAS[None, :]
    z = (gains + bias[..., None] * sides) / (math.sqrt(2) * noise[..., None])
    logs = log_ndtr(z).sum(-1)
    logs = logs - (noise.log() / _NOISE_PRIOR) ** 2 / 2 - (bias / _BIAS_PRIOR) ** 2 / 2
    row, column = divmod(int(logs.argmax()), len(_BIAS))
    return Habit(float(_NOISE[row]), float(_BIAS[column]))
