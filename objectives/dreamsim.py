"""DreamSim: how different two images look in layout, pose and content.

Fu et al., "DreamSim: Learning New Dimensions of Human Visual Similarity using Synthetic Data"
(2023), arXiv 2306.09344, section 4: one minus the cosine of embeddings, fine-tuned on what people
called similar. The package gives the network; what it would load is looked at before.
"""

import io
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, extra_module, found, in_batches, shared
from objectives.parameters import check_format
from objectives.targets import open_targets

EXTRA = "perceptual"
FILES = {
    "open_clip_vitb32": ("open_clip_vitb32_pretrain.pth.tar", "open_clip_vitb32_single_lora"),
    "clip_vitb32": ("clip_vitb32_pretrain.pth.tar", "clip_vitb32_single_lora"),
    "synclr_vitb16": ("synclr_vit_b_16.pth", "synclr_vitb16_single_lora"),
}
"""What each kind needs: a pickle that the package reads as tensors only, and a LoRA folder."""
WITH_CODE = ("ensemble", "dino_vitb16", "dinov2_vitb14")
"""Kinds whose backbone the package has `torch.hub` fetch from GitHub, and run, as code."""


@objective(
    name="dreamsim",
    direction="minimize",
    card=Card(
        scale="1 - cosine, 0 (the same) to 2",
        source="arXiv 2306.09344, section 4; github.com/ssundaram21/dreamsim",
        licence="dreamsim: MIT; peft: Apache-2.0",
        checkpoint="release v0.2.0-checkpoints of the package (a pickle: needs allow_pickle)",
        checkpoint_licence="MIT",
        parameters=88,
        extra=EXTRA,
    ),
)
class DreamSim:
    """DreamSim's distance between an image and a target; with several, the mean. Minimized.

    The prompt is not looked at. The package's `ensemble` is not offered: its loader runs code that
    it fetches.
    """

    def __init__(
        self,
        target: str,
        kind: str = "open_clip_vitb32",
        *,
        folder: str | None = None,
        allow_pickle: bool = False,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Open the target, or the targets, and check what to load.

        Args:
            target: path of an image, or of a folder of images.
            kind: `open_clip_vitb32`, `clip_vitb32` or `synclr_vitb16`.
            folder: unpacked release of the package for that kind; None: torch's cache, which it
                is fetched into.
            allow_pickle: whether the release's pickles are read, as tensors only.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: the target cannot be read, no such kind, file, device or precision, or
                pickles without permission.
        """
        _check_kind(kind)
        check_format(f"{kind}.pth", allow_pickle=allow_pickle)
        if folder is not None:
            _check_folder(Path(folder).expanduser(), kind)
        self._targets = open_targets(target)
        self._kind, self._folder = kind, folder
        self._place = Place(device, offload, dtype)
        self._mean: Tensor | None = None

    def load(self) -> None:
        """Load the network.

        Raises:
            ObjectiveError: dreamsim is not installed, or its release is neither here nor can it be
                fetched.
        """
        self._network()

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one distance an image."""
        if self._mean is None:
            self._mean = self.embed(self._targets).mean(dim=0)
        distances: list[float] = (1 - self.embed(images) @ self._mean).tolist()
        return distances

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """Return the network's embeddings, `n x d`, which tell the search what is alike."""
        network = self._network()
        with network.at_work() as model:

            def embed(some: Sequence[Image.Image]) -> Tensor:
                pixels = torch.cat([network.prepare(to_rgb(image)) for image in some])
                values = pixels.to(self._place.torch_device, self._place.torch_dtype)
                return F.normalize(model.embed(values).float(), dim=-1)

            return in_batches(embed, images)

    def _network(self) -> Network:
        return shared(load_dreamsim, self._kind, self._folder, self._place)


def load_dreamsim(kind: str, folder: str | None, place: Place) -> Network:
    """Have the package make its network.

    Raises:
        ObjectiveError: dreamsim is not installed, or its release is neither here nor can it be
            fetched, or is damaged.
    """
    package = extra_module("dreamsim", EXTRA)
    where = _cached(kind) if folder is None else Path(folder).expanduser()
    with (
        found("release", folder or package.config.dreamsim_weights[kind], where),
        torch.random.fork_rng(devices=[]),  # parameters are drawn before they are set
        redirect_stdout(io.StringIO()),  # it prints where it looks
        warnings.catch_warnings(),  # it applies the adapter twice over, which peft remarks on
    ):
        warnings.simplefilter("ignore", UserWarning)
        where.mkdir(parents=True, exist_ok=True)
        model, prepare = package.dreamsim(
            device=str(place.torch_device), cache_dir=str(where), dreamsim_type=kind
        )
        _check_adapter(model)
        model = model.to(place.torch_dtype)
        for extractor in model.extractor_list:
            if hasattr(extractor, "proj"):  # a tensor that is no parameter, so it did not follow
                extractor.proj = extractor.proj.to(place.torch_dtype)
    return Network(model, prepare, place)


def _check_adapter(model: nn.Module) -> None:
    """Check that the adapter was read: peft only warns where names differ, and leaves zeros."""
    read = [value.any() for name, value in model.named_parameters() if "lora_B" in name]
    if not read or not all(read):
        raise ObjectiveError("the LoRA adapter does not fit the network: it would change nothing")


def _check_kind(kind: str) -> None:
    if kind in WITH_CODE:
        raise ObjectiveError(
            f"kind {kind} is not offered: the package has torch.hub fetch its backbone from GitHub "
            f"as code, and runs that; there: {', '.join(FILES)}"
        )
    if kind not in FILES:
        raise ObjectiveError(f"kind must be one of {', '.join(FILES)}, got {kind!r}")


def _check_folder(folder: Path, kind: str) -> None:
    """Check that the package finds all there, so that it fetches nothing."""
    for name in FILES[kind]:
        if not (folder / name).exists():
            raise ObjectiveError(f"folder {folder} has no {name}, which dreamsim {kind} needs")


def _cached(kind: str) -> Path:
    return Path(torch.hub.get_dir()) / "dreamsim" / kind
