"""Similarity to a target image or to a text: cosines of embeddings of any open_clip model.

The embeddings are CLIP's (Radford et al. 2021, arXiv 2103.00020). open_clip is MIT licensed;
each checkpoint has a licence of its own, the bundled `demo` scorer that of this project.
"""

from collections.abc import Sequence
from functools import cached_property

from PIL import Image
from torch import Tensor

from fabricbo import Card, ObjectiveError, objective
from objectives.embedder import Embedder, check_scorer, load_embedder
from objectives.networks import Place
from objectives.targets import open_targets

SOURCE = "CLIP, arXiv 2103.00020"
LICENCE = "open_clip: MIT"
CHECKPOINT = "none: the bundled demo scorer, unless `scorer` names another"


@objective(
    name="target-similarity",
    card=Card(scale="cosine, -1 to 1", source=SOURCE, licence=LICENCE, checkpoint=CHECKPOINT),
)
class TargetSimilarity:
    """Cosine between the embeddings of an image and of a target image, in [-1, 1]; maximized.

    With several targets, the mean of the cosines. The prompt is not looked at. The model is
    loaded with the first call.
    """

    def __init__(
        self,
        target: str,
        scorer: str = "demo",
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Open the target, or the targets.

        Args:
            target: path of an image, or of a folder of images.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: the target cannot be read, or there is no such scorer.
        """
        self._targets = open_targets(target)
        check_scorer(scorer)
        self._scorer, self._place = scorer, Place(device, offload, dtype)

    def load(self) -> None:
        """Load the scorer.

        Raises:
            ObjectiveError: it is neither here nor can it be fetched.
        """
        self._embedder()

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one cosine an image."""
        return (self.embed(images) @ self._mean).tolist()

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the scorer's embeddings, `n x d`, which tell the search what is alike."""
        return self._embedder().images(images)

    @cached_property
    def _mean(self) -> Tensor:
        """Not of length 1: its product with an embedding is the mean of the cosines."""
        return self.embed(self._targets).mean(dim=0)

    def _embedder(self) -> Embedder:
        return load_embedder(self._scorer, self._place)


@objective(
    name="diverse-similarity",
    card=Card(
        scale="cosine plus weight times diversity, -1 to 1 + 2 x weight",
        source=f"{SOURCE}; FABRIC, arXiv 2307.10159, section 5",
        licence=LICENCE,
        checkpoint=CHECKPOINT,
    ),
)
class DiverseSimilarity:
    """Similarity to a target, plus a weight times how far an image is from the others of its batch.

    An image scores its cosine to the target, in [-1, 1], plus `diversity_weight` times one minus
    its mean cosine to the other images, in [0, 2]; the mean over the batch is then similarity
    plus weight times in-batch diversity, 1 - mean pairwise cosine (FABRIC, arXiv 2307.10159,
    section 5, reports the two apart). A batch of one has no diversity. Maximized.
    """

    def __init__(
        self,
        target: str,
        diversity_weight: float = 0.5,
        scorer: str = "demo",
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Open the target, or the targets.

        Args:
            target: path of an image, or of a folder of images.
            diversity_weight: what diversity counts against similarity, at least 0.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: the target cannot be read, a weight that is negative or no number,
                or there is no such scorer.
        """
        if isinstance(diversity_weight, bool) or not isinstance(diversity_weight, int | float):
            raise ObjectiveError(f"diversity_weight must be a number, got {diversity_weight!r}")
        if not 0 <= diversity_weight < float("inf"):
            raise ObjectiveError(f"diversity_weight must be at least 0, got {diversity_weight}")
        self._similarity = TargetSimilarity(
            target, scorer, device=device, offload=offload, dtype=dtype
        )
        self.load = self._similarity.load
        self._weight = diversity_weight

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one number an image."""
        similarity = self._similarity(images, prompt)
        if len(images) < 2:
            return similarity
        embedded = self.embed(images)
        cosines = embedded @ embedded.T
        others = (cosines.sum(1) - cosines.diagonal()) / (len(images) - 1)
        return [
            near + self._weight * (1 - far)
            for near, far in zip(similarity, others.tolist(), strict=True)
        ]

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the scorer's embeddings, `n x d`, which tell the search what is alike."""
        return self._similarity.embed(images)


@objective(
    name="text-similarity",
    card=Card(scale="cosine, -1 to 1", source=SOURCE, licence=LICENCE, checkpoint=CHECKPOINT),
)
class TextSimilarity:
    """Cosine between the embeddings of an image and of a text, in [-1, 1]; maximized.

    A text above the context of the model is cut off, as open_clip does it.
    """

    def __init__(
        self,
        text: str | None = None,
        scorer: str = "demo",
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Remember the text.

        Args:
            text: what images should show; None takes the prompt.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: a text that says nothing, or there is no such scorer.
        """
        if text is not None and not (isinstance(text, str) and text.strip()):
            raise ObjectiveError(f"text must say something; without it, the prompt; got {text!r}")
        check_scorer(scorer)
        self._text, self._scorer, self._place = text, scorer, Place(device, offload, dtype)

    def load(self) -> None:
        """Load the scorer.

        Raises:
            ObjectiveError: it is neither here nor can it be fetched.
        """
        self._embedder()

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one cosine an image."""
        embedder = self._embedder()
        text = embedder.texts([prompt if self._text is None else self._text])[0]
        return (embedder.images(images) @ text).tolist()

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the scorer's embeddings, `n x d`, which tell the search what is alike."""
        return self._embedder().images(images)

    def _embedder(self) -> Embedder:
        return load_embedder(self._scorer, self._place)
