"""Similarity to a target image by DINOv2, which sees form and content more than a caption would.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision" (2023),
arXiv 2304.07193.
"""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fabricbo import Card, objective
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, found, in_batches, shared
from objectives.targets import open_targets

CHECKPOINT = "facebook/dinov2-base"


@objective(
    name="dinov2-similarity",
    card=Card(
        scale="cosine, -1 to 1",
        source="arXiv 2304.07193; the class token after the last layer norm",
        licence="transformers: Apache-2.0",
        checkpoint=CHECKPOINT,
        checkpoint_licence="Apache-2.0",
        parameters=87,
    ),
)
class Dinov2Similarity:
    """Cosine between DINOv2's class tokens of an image and of a target; maximized.

    With several targets, the mean of the cosines. The prompt is not looked at.
    """

    def __init__(
        self,
        target: str,
        checkpoint: str = CHECKPOINT,
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Open the target, or the targets.

        Args:
            target: path of an image, or of a folder of images.
            checkpoint: hub id, or a folder, of a DINOv2 model in transformers' format.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: the target cannot be read, or no such device or precision.
        """
        self._targets = open_targets(target)
        self._checkpoint, self._place = checkpoint, Place(device, offload, dtype)
        self._mean: Tensor | None = None

    def load(self) -> None:
        """Load the network.

        Raises:
            ObjectiveError: it is neither here nor can it be fetched.
        """
        self._network()

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one cosine an image."""
        if self._mean is None:
            self._mean = self.embed(self._targets).mean(dim=0)
        scores: list[float] = (self.embed(images) @ self._mean).tolist()
        return scores

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the network's embeddings, `n x d`, which tell the search what is alike."""
        network = self._network()
        with network.at_work() as model:

            def embed(some: Sequence[Image.Image]) -> Tensor:
                pixels = network.prepare([to_rgb(image) for image in some], return_tensors="pt")
                values = pixels["pixel_values"].to(
                    self._place.torch_device, self._place.torch_dtype
                )
                return F.normalize(model(pixel_values=values).pooler_output.float(), dim=-1)

            return in_batches(embed, images)

    def _network(self) -> Network:
        return shared(load_dinov2, self._checkpoint, self._place)


def load_dinov2(checkpoint: str, place: Place) -> Network:
    """Load a DINOv2 model with its preprocessing.

    Raises:
        ObjectiveError: it is neither here nor can it be fetched.
    """
    from transformers import AutoImageProcessor, AutoModel

    with found("checkpoint", checkpoint):
        model = AutoModel.from_pretrained(
            checkpoint, use_safetensors=True, trust_remote_code=False, dtype=place.torch_dtype
        )
        # Pillow's resizing, as the authors had it: torchvision's differs in the last digits.
        prepare = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")
    return Network(model.eval().requires_grad_(False), prepare, place)
