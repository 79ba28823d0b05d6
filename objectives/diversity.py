"""How much the images of a batch differ: one number for all of them."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from fabricbo import Card, ObjectiveError, objective
from objectives.embedder import check_scorer, load_embedder
from objectives.networks import Place


class _Embedded:
    """The images of a batch as unit vectors; what both objectives share."""

    def __init__(self, scorer: str, place: Place) -> None:
        check_scorer(scorer)
        self._scorer, self._place = scorer, place

    def load(self) -> None:
        load_embedder(self._scorer, self._place)

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        return load_embedder(self._scorer, self._place).images(images)


@objective(
    name="diversity",
    per="batch",
    card=Card(
        scale="1 - cosine, 0 to 2",
        source="FABRIC, arXiv 2307.10159, section 5 (its authors' code returns the similarity)",
        licence="this project; open_clip: MIT",
        checkpoint="none: the bundled demo scorer, unless `scorer` names another",
    ),
)
class Diversity:
    """One minus the mean cosine of all pairs of a batch's images; maximized.

    The paper reports this in-batch diversity; the authors' code returns the mean cosine itself.
    """

    def __init__(
        self,
        scorer: str = "demo",
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Choose the scorer.

        Args:
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: there is no such scorer, device or precision.
        """
        self.embed = _Embedded(scorer, Place(device, offload, dtype))
        self.load = self.embed.load

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one number for the batch.

        Raises:
            ObjectiveError: a single image, which differs from nothing.
        """
        if len(images) < 2:
            raise ObjectiveError(f"diversity needs at least two images, got {len(images)}")
        cosines = _cosines(self.embed(images))
        n = len(images)
        pairs = (cosines.sum() - cosines.diagonal().sum()) / (n * (n - 1))
        return [float(1 - pairs)]


@objective(
    name="vendi",
    per="batch",
    card=Card(
        scale="effective number of images, 1 to their count",
        source="Friedman and Dieng (2022), arXiv 2210.02410, definition 3.1",
        licence="this project; open_clip: MIT",
        checkpoint="none: the bundled demo scorer, unless `scorer` names another",
    ),
)
class Vendi:
    """Vendi score: how many different images a batch amounts to; maximized.

    The exponential of the entropy of the eigenvalues of K/n, K the cosines of the embeddings.
    """

    def __init__(
        self,
        scorer: str = "demo",
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Choose the scorer.

        Args:
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: there is no such scorer, device or precision.
        """
        self.embed = _Embedded(scorer, Place(device, offload, dtype))
        self.load = self.embed.load

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one number for the batch."""
        return [vendi_score(_cosines(self.embed(images)))]


def vendi_score(similarity: Tensor) -> float:
    """Return the Vendi score of a matrix of similarities (arXiv 2210.02410, definition 3.1).

    Args:
        similarity: symmetric, positive semi-definite, ones on the diagonal, `n x n`.
    """
    shares = torch.linalg.eigvalsh(similarity.double() / len(similarity)).clamp(min=0)
    return float(torch.special.entr(shares).sum().exp())


def _cosines(embedded: Tensor) -> Tensor:
    return embedded.double() @ embedded.double().T
