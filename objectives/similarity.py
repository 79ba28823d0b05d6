"""Similarity to a target image or to a text: cosines of embeddings of any open_clip model.

The embeddings are CLIP's (Radford et al. 2021, arXiv 2103.00020). open_clip is MIT licensed;
each checkpoint has a licence of its own, the bundled `demo` scorer that of this project.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from PIL import Image
from torch import Tensor

from fabricbo import ObjectiveError, objective
from fabricbo.imagefiles import SUFFIXES, open_image
from objectives.embedder import check_scorer, load_embedder


@objective(name="target-similarity")
class TargetSimilarity:
    """Cosine between the embeddings of an image and of a target image, in [-1, 1]; maximized.

    With several targets, the mean of the cosines. The prompt is not looked at. The model is
    loaded with the first call.
    """

    def __init__(self, target: str, scorer: str = "demo") -> None:
        """Open the target, or the targets.

        Args:
            target: path of an image, or of a folder of images.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.

        Raises:
            ObjectiveError: the target cannot be read, or there is no such scorer.
        """
        try:
            self._targets = [open_image(file) for file in _image_files(target)]
        except (OSError, TypeError, ValueError) as error:
            raise ObjectiveError(f"target: {error}") from error
        check_scorer(scorer)
        self._scorer = scorer

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one cosine an image."""
        return (load_embedder(self._scorer).images(images) @ self._mean).tolist()

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the scorer's embeddings, `n x d`, which tell the search what is alike."""
        return load_embedder(self._scorer).images(images)

    @cached_property
    def _mean(self) -> Tensor:
        """Not of length 1: its product with an embedding is the mean of the cosines."""
        return load_embedder(self._scorer).images(self._targets).mean(dim=0)


def _image_files(target: str) -> list[Path]:
    path = Path(target).expanduser()
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"folder {path} has no images: expected {', '.join(sorted(SUFFIXES))}")
    return files


@objective(name="diverse-similarity")
class DiverseSimilarity:
    """Similarity to a target, plus a weight times how far an image is from the others of its batch.

    An image scores its cosine to the target, in [-1, 1], plus `diversity_weight` times one minus
    its mean cosine to the other images, in [0, 2]; the mean over the batch is then similarity
    plus weight times in-batch diversity, 1 - mean pairwise cosine (FABRIC, arXiv 2307.10159,
    section 5, reports the two apart). A batch of one has no diversity. Maximized.
    """

    def __init__(self, target: str, diversity_weight: float = 0.5, scorer: str = "demo") -> None:
        """Open the target, or the targets.

        Args:
            target: path of an image, or of a folder of images.
            diversity_weight: what diversity counts against similarity, at least 0.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.

        Raises:
            ObjectiveError: the target cannot be read, a weight that is negative or no number,
                or there is no such scorer.
        """
        if isinstance(diversity_weight, bool) or not isinstance(diversity_weight, int | float):
            raise ObjectiveError(f"diversity_weight must be a number, got {diversity_weight!r}")
        if not 0 <= diversity_weight < float("inf"):
            raise ObjectiveError(f"diversity_weight must be at least 0, got {diversity_weight}")
        self._similarity = TargetSimilarity(target, scorer)
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


@objective(name="text-similarity")
class TextSimilarity:
    """Cosine between the embeddings of an image and of a text, in [-1, 1]; maximized.

    A text above the context of the model is cut off, as open_clip does it.
    """

    def __init__(self, text: str | None = None, scorer: str = "demo") -> None:
        """Remember the text.

        Args:
            text: what images should show; None takes the prompt.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.

        Raises:
            ObjectiveError: a text that says nothing, or there is no such scorer.
        """
        if text is not None and not (isinstance(text, str) and text.strip()):
            raise ObjectiveError(f"text must say something; without it, the prompt; got {text!r}")
        check_scorer(scorer)
        self._text, self._scorer = text, scorer

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one cosine an image."""
        embedder = load_embedder(self._scorer)
        text = embedder.texts([prompt if self._text is None else self._text])[0]
        return (embedder.images(images) @ text).tolist()

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the scorer's embeddings, `n x d`, which tell the search what is alike."""
        return load_embedder(self._scorer).images(images)
