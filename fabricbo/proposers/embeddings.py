"""How alike references are: distances of the embeddings of their images.

What was learnt about one reference says something about those that look like it, which is how
the surrogate can guess at images that joined the pool a moment ago.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fabricbo.records import Reference

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)

Embed = Callable[[Sequence["Image"]], Any]
"""Images to embeddings, `n x d`: an array, or what numpy makes one of."""

_DIGITS = 3
"""Distances are rounded: embeddings differ in their last digits with the number of threads."""


class Embeddings:
    """Embeddings of references, each computed once."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._known: dict[str, npt.NDArray[np.float64]] = {}

    def distances(self, references: Sequence[Reference]) -> npt.NDArray[np.float64] | None:
        """Return squared distances, `r x r`, in units of their median.

        None where there is nothing to learn from them: fewer than two references, embeddings
        that are all equal or cannot be computed (the reason is logged; the search goes on).
        """
        if len(references) < 2:
            return None
        try:
            self._learn([r for r in references if r.id not in self._known])
        except Exception as error:  # the embedding may be anybody's code
            logger.warning("references could not be embedded, going on without: %s", error)
            return None
        vectors = np.stack([self._known[reference.id] for reference in references])
        squared = np.square(vectors[:, None] - vectors[None]).sum(-1)
        median = float(np.median(squared[np.triu_indices(len(references), 1)]))
        if not np.isfinite(median) or median <= 0:
            return None
        rounded: npt.NDArray[np.float64] = np.round(squared / median, _DIGITS)
        return rounded

    def _learn(self, references: Sequence[Reference]) -> None:
        if not references:
            return
        vectors = np.asarray(self._embed([r.image for r in references]), dtype=np.float64)
        if vectors.shape[0] != len(references) or vectors.ndim != 2:
            raise ValueError(f"expected {len(references)} vectors, got shape {vectors.shape}")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = vectors / np.where(norms > 0, norms, 1.0)
        self._known.update({r.id: v for r, v in zip(references, unit, strict=True)})
