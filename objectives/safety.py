"""How likely an image is not safe for work: a bound to keep rather than an aim."""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, found, in_batches, shared

CHECKPOINT = "Falconsai/nsfw_image_detection"


@objective(
    name="nsfw",
    direction="minimize",
    card=Card(
        scale="probability, 0 to 1",
        source="huggingface.co/Falconsai/nsfw_image_detection: softmax over its two classes",
        licence="transformers: Apache-2.0",
        checkpoint=CHECKPOINT,
        checkpoint_licence="Apache-2.0",
        parameters=86,
    ),
)
class Nsfw:
    """Probability that an image is not safe for work; minimized, or bounded: `nsfw <= 0.1`.

    A classifier, no guarantee: it errs in both directions, on art and on what it never saw.
    """

    def __init__(
        self,
        checkpoint: str = CHECKPOINT,
        label: str = "nsfw",
        *,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Remember what to load.

        Args:
            checkpoint: hub id, or a folder, of an image classifier in transformers' format.
            label: the class whose probability is the score.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: no such device or precision.
        """
        self._checkpoint, self._label = checkpoint, label
        self._place = Place(device, offload, dtype)

    def load(self) -> None:
        """Load the network.

        Raises:
            ObjectiveError: it is neither here nor can it be fetched, or has no such class.
        """
        self._column(self._network())

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one probability an image."""
        network = self._network()
        column = self._column(network)
        with network.at_work() as model:

            def classify(some: Sequence[Image.Image]) -> Tensor:
                pixels = network.prepare([to_rgb(image) for image in some], return_tensors="pt")
                values = pixels["pixel_values"].to(
                    self._place.torch_device, self._place.torch_dtype
                )
                logits: Tensor = model(pixel_values=values).logits
                return logits.float().softmax(dim=-1)

            scores: list[float] = in_batches(classify, images)[:, column].tolist()
        return scores

    def _column(self, network: Network) -> int:
        labels: dict[int, str] = network.module.config.id2label
        for index, name in labels.items():
            if name.lower() == self._label.lower():
                return int(index)
        raise ObjectiveError(
            f"classifier {self._checkpoint} has no class {self._label!r}; there: "
            f"{', '.join(labels.values())}"
        )

    def _network(self) -> Network:
        return shared(load_classifier, self._checkpoint, self._place)


def load_classifier(checkpoint: str, place: Place) -> Network:
    """Load an image classifier with its preprocessing.

    Raises:
        ObjectiveError: it is neither here nor can it be fetched.
    """
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    with found("checkpoint", checkpoint):
        model = AutoModelForImageClassification.from_pretrained(
            checkpoint, use_safetensors=True, trust_remote_code=False, dtype=place.torch_dtype
        )
        # Pillow's resizing, as the authors had it: torchvision's differs in the last digits.
        prepare = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")
    return Network(model.eval().requires_grad_(False), prepare, place)
