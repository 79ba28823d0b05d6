"""Noisy expected improvement where many trials are pending.

BoTorch asks for a joint posterior of all known points and one candidate, for each candidate anew:
the known points come again with each of them, and with hundreds of pending trials that takes most
of a minute. Here candidates are put beside the known points once, and each is drawn given those, by
one more row of their Cholesky factor; the draws are the same up to rounding.
"""

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.models.model import Model
from torch import Tensor

_JITTER = 1e-8
"""Variance of a candidate given what is known, where rounding leaves none; as BoTorch has it."""


class ImprovementAmongPending(qLogNoisyExpectedImprovement):  # type: ignore[misc]  # untyped
    """qLogNEI that draws all candidates in one go; one candidate at a time (`b x 1 x d`)."""

    def _get_samples_and_objectives(self, X: Tensor) -> tuple[Tensor, Tensor]:  # noqa: N803
        """Return draws at the candidates, `s x b x 1 x m`, and their objective, `s x b x 1`."""
        # The one place where BoTorch's acquisition function is open for this.
        if not self._cache_root:
            return super()._get_samples_and_objectives(X)  # type: ignore[no-any-return]
        known, new = self.X_baseline, X.squeeze(-2)
        self._set_sampler(q_in=1, posterior=self.model.posterior(torch.cat((known, new[:1]))))
        models = getattr(self.model, "models", (self.model,))
        roots, normal = self._baseline_L, self.sampler.base_samples
        if len(models) == 1:  # then they have no dimension for outcomes
            roots, normal = roots.unsqueeze(0), normal.unsqueeze(-1)
        draws = [
            _draws(model, torch.cat((known, new)), root, normal[..., number])
            for number, (model, root) in enumerate(zip(models, roots, strict=True))
        ]
        samples = torch.stack(draws, -1).unsqueeze(-2)
        return samples, self.objective(samples, X=X)


def _draws(model: Model, rows: Tensor, root: Tensor, normal: Tensor) -> Tensor:
    """Draw a model's outcome at the last rows given the draws at the first ones: `s x b`.

    Args:
        model: of one outcome.
        rows: what is known and pending, then candidates, `(r + b) x d`.
        root: Cholesky factor of the covariance of the first rows, `r x r`.
        normal: standard normal draws, of the first rows and one for any candidate, `s x (r + 1)`.
    """
    first = len(root)
    distribution = model.posterior(rows).distribution
    covariance = distribution.covariance_matrix
    across = torch.linalg.solve_triangular(root, covariance[:first, first:], upper=False)
    left = covariance.diagonal()[first:] - across.square().sum(0)
    spread = torch.where(left > 0, left, _JITTER).sqrt()
    drawn: Tensor = (
        distribution.mean[first:] + normal[:, :first] @ across + normal[:, first:] * spread
    )
    return drawn
