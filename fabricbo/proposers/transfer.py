"""What an earlier study taught: the same surface, up to a correlation that is learnt."""

from typing import Any

import torch
from gpytorch.kernels import Kernel
from gpytorch.priors import NormalPrior
from torch import Tensor

_PRIOR = (1.5, 1.0)
"""Mean and standard deviation of the logit of the correlation: 0.82 at its centre."""


class TransferKernel(Kernel):  # type: ignore[misc]  # gpytorch is untyped
    """The covariance of actions of two studies: that of one study, times r across them.

    The last column of a row tells the study, 0 or 1; the others are what the kernel of one study
    sees. r lies in (0, 1).
    """

    def __init__(self, within: Kernel) -> None:
        """Wrap the kernel of one study."""
        super().__init__()
        self.within = within
        mean, deviation = _PRIOR
        self.register_parameter(
            "raw_correlation", torch.nn.Parameter(torch.tensor(mean, dtype=torch.float64))
        )
        self.register_prior(
            "correlation_prior",
            NormalPrior(mean, deviation),
            lambda kernel: kernel.raw_correlation,
            lambda kernel, value: kernel.initialize(raw_correlation=value),
        )

    @property
    def correlation(self) -> Tensor:
        """Return r."""
        return torch.sigmoid(self.raw_correlation)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **options: Any) -> Tensor:
        """Return the covariances of `... x n x (d + 1)` and `... x m x (d + 1)` rows."""
        within = self.within.forward(x1[..., :-1], x2[..., :-1], diag=diag, **options)
        one, other = x1[..., -1], x2[..., -1]
        same = one == other if diag else one.unsqueeze(-1) == other.unsqueeze(-2)
        covariance: Tensor = torch.where(same, within, self.correlation * within)
        return covariance
