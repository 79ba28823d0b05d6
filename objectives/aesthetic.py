"""LAION's aesthetic predictor, version 2: how people would rate an image from 1 to 10.

Schuhmann, "improved-aesthetic-predictor" (2022): linear layers on the normalised embedding of
CLIP ViT-L/14, trained on the SAC, Logos and AVA ratings.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from fabricbo import Card, ObjectiveError, objective
from objectives.embedder import check_scorer, load_embedder
from objectives.networks import Network, Place, found, shared
from objectives.parameters import check_format, check_parameters, read_parameters

URL = (
    "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/"
    "sac%2Blogos%2Bava1-l14-linearMSE.pth"
)
DIGEST = "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0"
"""SHA-256 of that file."""
SCORER = "ViT-L-14/openai"
HIDDEN = (1024, 128, 64, 16, 1)
DROPOUT_AFTER = (0, 1, 2)
"""Layers that dropout followed in training; they tell where the others are in the file."""


@objective(
    name="aesthetic",
    card=Card(
        scale="rating, 1 to 10",
        source="github.com/christophschuhmann/improved-aesthetic-predictor",
        licence="this project; open_clip: MIT",
        checkpoint=f"{SCORER}, and {URL} (a pickle: needs allow_pickle)",
        checkpoint_licence="MIT (CLIP), Apache-2.0 (predictor)",
        parameters=428,
    ),
)
class Aesthetic:
    """The rating that LAION's predictor expects; it does not look at the prompt. Maximized."""

    def __init__(
        self,
        predictor: str | None = None,
        scorer: str = SCORER,
        *,
        allow_pickle: bool = False,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Check what to load.

        Args:
            predictor: file with the linear layers; None: the published one.
            scorer: the CLIP model it was trained on, as `text-similarity` takes it.
            allow_pickle: whether a `.pth` file is read, as tensors only.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`, of the CLIP model.

        Raises:
            ObjectiveError: no such file or scorer, or a pickle without permission.
        """
        if predictor is None:
            check_format(URL, allow_pickle=allow_pickle)
        else:
            check_parameters(Path(predictor).expanduser(), allow_pickle=allow_pickle)
        check_scorer(scorer)
        self._predictor, self._scorer = predictor, scorer
        self._place = Place(device, offload, dtype)

    def load(self) -> None:
        """Load both networks.

        Raises:
            ObjectiveError: one is neither here nor can it be fetched, or does not fit the other.
        """
        load_embedder(self._scorer, self._place)
        shared(load_predictor, self._predictor)

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one rating an image."""
        embedded = self.embed(images)
        with shared(load_predictor, self._predictor).at_work() as predictor:
            if embedded.shape[1] != predictor[0].in_features:
                raise ObjectiveError(
                    f"the predictor takes {predictor[0].in_features} channels, scorer "
                    f"{self._scorer} has {embedded.shape[1]}"
                )
            ratings: list[float] = predictor(embedded)[:, 0].tolist()
        return ratings

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the scorer's embeddings, `n x d`, which tell the search what is alike."""
        return load_embedder(self._scorer, self._place).images(images)


def load_predictor(file: str | None) -> Network:
    """Load the linear layers; small as they are, they stay on the CPU.

    Raises:
        ObjectiveError: they are neither here nor can they be fetched, or are something else.
    """
    with found("predictor", file or URL):
        path, digest = (_fetched(), DIGEST) if file is None else (Path(file).expanduser(), None)
        # The constructor has seen the permission.
        parameters = read_parameters(path, allow_pickle=True, digest=digest)
        layers = linear_layers(parameters["layers.0.weight"].shape[1])
        layers.load_state_dict({k.removeprefix("layers."): v for k, v in parameters.items()})
    return Network(layers.eval().requires_grad_(False), None, Place("cpu"))


def linear_layers(channels: int) -> nn.Sequential:
    """Return the predictor: between its layers there is dropout only, idle after training."""
    layers: list[nn.Module] = []
    for k, width in enumerate(HIDDEN):
        layers.append(nn.Linear(channels, width))
        if k in DROPOUT_AFTER:
            layers.append(nn.Identity())
        channels = width
    return nn.Sequential(*layers)


def _fetched() -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / "sac+logos+ava1-l14-linearMSE.pth"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL, str(path), DIGEST, progress=False)
    return path
