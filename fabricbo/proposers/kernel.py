r"""The covariance of two actions, given their features.

With scalar columns s and role columns L (liked), D (disliked), one of each a reference:

    k = a M(s, s') + R + b R M(s, s')
    R = l <L, L'> + d <D, D'> + v <L - D, L' - D'>,   L := L (2 / n)^t, D likewise
    <x, y> = x^T ((1 - p) I + p E) y,   E_ij = exp(-|e_i - e_j|^2 / (2 h^2))

M is a Matern-5/2 kernel with a length scale for each scalar. R is linear: each reference has
an effect of its own when liked, one when disliked, and one that changes its sign with the
verdict, all drawn from three common variances. No reference is special beforehand, their order
does not matter, and what was learnt about one stays when others join the pool. A share p of
these effects is common to references with near embeddings e; without embeddings p is 0.
The columns grow with the mean mass over the denoising steps; `b R M` lets the effects depend on
mass and window in other ways, too. The exponent t says whether
references share the attention (1: their effects are averaged) or add up (0); it is learnt in
between. n is the set's effective size (sum L)^2 / sum L^2: the number of its references where all
have one strength, so that one of next to no strength is next to not being there.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from gpytorch.constraints import Positive
from gpytorch.kernels import Kernel
from gpytorch.priors import LogNormalPrior, NormalPrior
from torch import Tensor

_LENGTHSCALE_PRIOR = (0.5, 0.5)
"""Mode, and standard deviation of the logarithm; scalar features lie about in [0, 1]."""
_VARIANCE_PRIORS = ((0.3, 0.7), (0.05, 0.7), (0.05, 0.7), (0.1, 0.7), (2.0, 0.7))
"""The same for a, l, d, v, b; outcomes are standardised, effects mostly through mass."""
_REACH_PRIOR = (0.4, 0.5)
"""The same for h, in units of the median distance of two references."""
_JITTER = 1e-8
_TINY = 1e-300
"""Beside it no column is anything."""


class ActionKernel(Kernel):  # type: ignore[misc]  # gpytorch is untyped
    """The covariance in the formula above."""

    def __init__(self, scalars: int, references: int, distances: Tensor | None = None) -> None:
        """Make the kernel for rows of `scalars + 2 * references` columns.

        Args:
            scalars: number of scalar columns.
            references: number of references.
            distances: squared distances of their embeddings, `references x references`, in
                units of the median; None where nothing is known.
        """
        super().__init__()
        self.scalars, self.references = scalars, references
        self.distances = distances
        self._add_positive("lengthscales", [_LENGTHSCALE_PRIOR] * scalars)
        self._add_positive("variances", _VARIANCE_PRIORS)
        self._add_share("sharing")
        if distances is not None:
            self._add_positive("reach", [_REACH_PRIOR])
            self._add_share("kinship")

    def _add_share(self, name: str) -> None:
        """Add a parameter in (0, 1) whose logit is normal, started at 1/2."""
        raw = f"raw_{name}"
        self.register_parameter(raw, _parameter(0.0))
        self.register_prior(
            f"{name}_prior",
            NormalPrior(0.0, 1.0),
            lambda kernel: getattr(kernel, raw),
            lambda kernel, value: kernel.initialize(**{raw: value}),
        )

    def _add_positive(self, name: str, priors: Sequence[tuple[float, float]]) -> None:
        """Add a vector of positive parameters with log-normal priors, started at their medians."""
        raw = f"raw_{name}"
        # The mode of a log-normal density is exp(mean - variance), its median exp(mean).
        means = [math.log(mode) + deviation**2 for mode, deviation in priors]
        self.register_parameter(raw, _parameter(means))
        self.register_constraint(raw, Positive(transform=torch.exp, inv_transform=torch.log))
        if not priors:
            return
        deviations = [deviation for _, deviation in priors]
        self.register_prior(
            f"{name}_prior",
            LogNormalPrior(torch.tensor(means).double(), torch.tensor(deviations).double()),
            lambda kernel: getattr(kernel, raw).exp(),
            lambda kernel, value: kernel.initialize(**{raw: value.log()}),
        )

    @property
    def lengthscales(self) -> Tensor:
        """Return one a scalar column."""
        return self.raw_lengthscales.exp()  # type: ignore[no-any-return]

    @property
    def variances(self) -> Tensor:
        """Return a, l, d, v and b."""
        return self.raw_variances.exp()  # type: ignore[no-any-return]

    @property
    def sharing(self) -> Tensor:
        """Return the exponent t in (0, 1)."""
        return torch.sigmoid(self.raw_sharing)

    @property
    def reach(self) -> Tensor:
        """Return h, `1`."""
        return self.raw_reach.exp()  # type: ignore[no-any-return]

    @property
    def kinship(self) -> Tensor:
        """Return p in (0, 1)."""
        return torch.sigmoid(self.raw_kinship)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """Return the covariances of `... x n x d` and `... x m x d` rows: `... x n x m`.

        With `diag` that of each row of the one with its namesake of the other: `... x n`.
        """
        alone, interaction = self.variances[0], self.variances[4]
        left, right = self._role_columns(x1), self._role_columns(x2)
        roles = (left * right).sum(-1) if diag else left @ right.transpose(-1, -2)
        matern = self._matern(x1[..., : self.scalars], x2[..., : self.scalars], diag)
        return alone * matern + roles * (1 + interaction * matern)

    def _matern(self, x1: Tensor, x2: Tensor, diag: bool) -> Tensor:
        x1, x2 = x1 / self.lengthscales, x2 / self.lengthscales
        difference = x1 - x2 if diag else x1.unsqueeze(-2) - x2.unsqueeze(-3)
        squared = 5 * difference.square().sum(-1)
        # The gradient of a root at 0 is infinite, that of the kernel there is 0.
        distance = (squared + 1e-20).sqrt()
        return (1 + distance + squared / 3) * torch.exp(-distance)

    def _role_columns(self, x: Tensor) -> Tensor:
        """Return `... x n x 3 r` columns whose inner product is R."""
        liked = self._shared(x[..., self.scalars : self.scalars + self.references])
        disliked = self._shared(x[..., self.scalars + self.references :])
        if self.distances is not None:
            root = self._root_of_kinship(self.distances)
            liked, disliked = liked @ root, disliked @ root
        one, two, verdict = self.variances[1:4].sqrt().unbind(-1)
        return torch.cat((one * liked, two * disliked, verdict * (liked - disliked)), -1)

    def _root_of_kinship(self, distances: Tensor) -> Tensor:
        """Return the Cholesky factor of (1 - p) I + p E."""
        alike = torch.exp(-distances / (2 * self.reach.square()))
        identity = torch.eye(self.references, dtype=alike.dtype, device=alike.device)
        kinship = (1 - self.kinship) * identity + self.kinship * alike
        root: Tensor = torch.linalg.cholesky(kinship + _JITTER * identity)
        return root

    def _shared(self, columns: Tensor) -> Tensor:
        """Scale the columns of a set by its effective size; nothing changes at two references."""
        if not self.references:
            return columns
        columns = columns.clamp_min(0)  # BoTorch also asks about rows beyond those of actions
        relative = columns / columns.amax(-1, keepdim=True).clamp_min(_TINY)
        squares = relative.square().sum(-1, keepdim=True).clamp_min(1)
        count = (relative.sum(-1, keepdim=True).square() / squares).clamp_min(1)
        # In single precision, as whole numbers are divided, which the sizes were before there were
        # strengths: without any the same actions are to be proposed.
        return columns * (2 / count.float()) ** self.sharing


def _parameter(values: float | Sequence[float]) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))
