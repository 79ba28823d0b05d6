"""The surrogate of the last suggestion, for the next one.

Fitting looks at scored trials only. Where several suggestions are made in a row, to keep many
workers busy, only pending trials come in between, and the same fit would be made again.
"""

import torch

from fabricbo.proposers.embeddings import Embeddings
from fabricbo.proposers.surrogate import Surrogate, fit_surrogate, known_references
from fabricbo.protocols import History
from fabricbo.records import Trial, TrialStatus


class LastFit:
    """Fits surrogates, and keeps the last one; what it returns is as if it kept none."""

    def __init__(self, embeddings: Embeddings | None) -> None:
        """Take the embeddings of the references' images, if there are any."""
        self._embeddings = embeddings
        self._known: tuple[object, ...] = ()
        self._surrogate: Surrogate | None = None

    def __call__(self, history: History) -> Surrogate:
        """Return the surrogate that fits a history.

        Raises:
            ValueError: no trial has a score, and nobody preferred any.
        """
        known = _what_counts(history)
        if self._surrogate is not None and known == self._known:
            return self._surrogate
        before = torch.random.get_rng_state()
        surrogate = fit_surrogate(history, self._embeddings)
        # A fit that had to begin again somewhere else drew random numbers, which are those of one
        # suggestion: the next one would begin elsewhere.
        same_for_all = bool(torch.equal(before, torch.random.get_rng_state()))
        keep = same_for_all and not history.preferences
        self._known, self._surrogate = known, surrogate if keep else None
        return surrogate


def _what_counts(history: History) -> tuple[object, ...]:
    """Return all that a fit depends on where nobody judged."""
    return (
        history.space,
        known_references(history),
        history.measures,
        history.earlier,
        history.preferences,
        tuple(trial for trial in history.trials if _is_scored(trial)),
    )


def _is_scored(trial: Trial) -> bool:
    return trial.status is TrialStatus.DONE and bool(trial.scores)
