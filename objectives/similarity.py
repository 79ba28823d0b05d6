"""Similarity to a target image or to a text: cosines of embeddings of any open_clip model.

The embeddings are CLIP's (Radford et al. 2021, arXiv 2103.00020). open_clip is MIT licensed;
each checkpoint has a licence of its own, the bundled `demo` scorer that of this project.
"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from fabricbo import ObjectiveError, objective
from fabricbo.imagefiles import open_image
from objectives.embedder import check_scorer, load_embedder


@objective(name="target-similarity")
class TargetSimilarity:
    """Cosine between the embeddings of an image and of a target image, in [-1, 1].

    The prompt is not looked at. The model is loaded with the first call.
    """

    def __init__(self, target: str, scorer: str = "demo") -> None:
        """Open the target.

        Args:
            target: path of an image.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.

        Raises:
            ObjectiveError: the target cannot be read, or there is no such scorer.
        """
        try:
            self._target = open_image(Path(target).expanduser())
        except (OSError, ValueError) as error:
            raise ObjectiveError(f"target: {error}") from error
        check_scorer(scorer)
        self._scorer = scorer

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one cosine an image."""
        embedder = load_embedder(self._scorer)
        target = embedder.images([self._target])[0]
        return (embedder.images(images) @ target).tolist()


@objective(name="text-similarity")
class TextSimilarity:
    """Cosine between the embeddings of an image and of a text, in [-1, 1]."""

    def __init__(self, text: str | None = None, scorer: str = "demo") -> None:
        """Remember the text.

        Args:
            text: what images should show; None takes the prompt.
            scorer: `demo`, `ARCHITECTURE/PRETRAINED`, `hf-hub:owner/name` or a folder.

        Raises:
            ObjectiveError: there is no such scorer.
        """
        check_scorer(scorer)
        self._text, self._scorer = text, scorer

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one cosine an image."""
        embedder = load_embedder(self._scorer)
        text = embedder.texts([self._text or prompt])[0]
        return (embedder.images(images) @ text).tolist()
