"""Human Preference Score, versions 2 and 2.1: which of two images for a prompt people prefer.

Wu et al., "Human Preference Score v2: A Solid Benchmark for Evaluating Human Preferences of
Text-to-Image Synthesis" (2023), arXiv 2306.09341: a CLIP ViT-H/14 fine-tuned on rankings.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fabricbo import Card, ObjectiveError, objective
from objectives.embedder import Embedder
from objectives.networks import Network, Place, found, shared
from objectives.parameters import check_format, check_parameters, read_parameters

REPOSITORY = "xswu/HPSv2"
FILES = {"2.0": "HPS_v2_compressed.pt", "2.1": "HPS_v2.1_compressed.pt"}
ARCHITECTURE = "ViT-H-14"


@objective(
    name="hps",
    card=Card(
        scale="cosine, -1 to 1; comparable within a prompt and a version only",
        source="arXiv 2306.09341; github.com/tgxs002/HPSv2",
        licence="open_clip: MIT",
        checkpoint=f"{REPOSITORY} ({FILES['2.1']}, a pickle: needs allow_pickle)",
        checkpoint_licence="Apache-2.0",
        parameters=986,
    ),
)
class HumanPreferenceScore:
    """Cosine of prompt and image in the preference model HPS v2 or v2.1; maximized.

    The published files are pickles; they are read as tensors only, and only with `allow_pickle`.
    """

    def __init__(
        self,
        version: str = "2.1",
        checkpoint: str | None = None,
        *,
        allow_pickle: bool = False,
        architecture: str = ARCHITECTURE,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Check what to load.

        Args:
            version: `2.0` or `2.1`, which hub file is taken.
            checkpoint: a file of that layout in place of the hub's.
            allow_pickle: whether a `.pt` file is read, as tensors only.
            architecture: as open_clip names it.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: no such version or file, or a pickle without permission.
        """
        if str(version) not in FILES:
            raise ObjectiveError(f"version must be one of {', '.join(FILES)}, got {version!r}")
        self._file = FILES[str(version)]
        if checkpoint is None:
            check_format(self._file, allow_pickle=allow_pickle)
        else:
            check_parameters(Path(checkpoint).expanduser(), allow_pickle=allow_pickle)
        self._checkpoint, self._architecture = checkpoint, architecture
        self._place = Place(device, offload, dtype)

    def load(self) -> None:
        """Load the network.

        Raises:
            ObjectiveError: it is neither here nor can it be fetched, or does not fit.
        """
        self._embedder()

    def __call__(self, images: Sequence[Image.Image], prompt: str) -> list[float]:
        """Return one cosine an image."""
        embedder = self._embedder()
        scores: list[float] = (embedder.images(images) @ embedder.texts([prompt])[0]).tolist()
        return scores

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the network's embeddings, `n x d`, which tell the search what is alike."""
        return self._embedder().images(images)

    def _embedder(self) -> Embedder:
        import open_clip

        key = (self._checkpoint, self._file, self._architecture, self._place)
        return Embedder(shared(load_hps, *key), open_clip.get_tokenizer(self._architecture))


def load_hps(checkpoint: str | None, file: str, architecture: str, place: Place) -> Network:
    """Load the parameters into open_clip's network, with the authors' preprocessing.

    Raises:
        ObjectiveError: they are neither here nor can they be fetched, or do not fit.
    """
    import open_clip

    where = checkpoint or f"{REPOSITORY}/{file}"
    with found("checkpoint", where):
        path = _fetched(file) if checkpoint is None else Path(checkpoint).expanduser()
        # The constructor has seen the permission; a hub file of this name is a pickle.
        parameters = read_parameters(path, allow_pickle=True)
        model = open_clip.create_model(architecture, device="cpu")
        model.load_state_dict(parameters)
        prepare = _preprocessing(model.visual)
    return Network(model.eval().requires_grad_(False).to(place.torch_dtype), prepare, place)


def _fetched(file: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(REPOSITORY, file))


def _preprocessing(visual: Any) -> Any:
    """Return the authors' preprocessing: unlike open_clip's, it resizes tensors, not images."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor
    from torchvision.transforms.functional import InterpolationMode

    size = visual.image_size[0] if isinstance(visual.image_size, tuple) else visual.image_size
    return Compose(
        [
            ToTensor(),
            Resize(size, InterpolationMode.BICUBIC, antialias=True),
            CenterCrop(size),
            Normalize(OPENAI_DATASET_MEAN, OPENAI_DATASET_STD),
        ]
    )
