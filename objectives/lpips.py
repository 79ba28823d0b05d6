"""LPIPS: how different two images look to a network that was trained to see.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (2018),
arXiv 1801.03924, equation 1: weighted squared differences of unit-length features, over all places
and layers; the weights were fitted to what people call similar.
"""

import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from fabricbo import Card, ObjectiveError, objective
from fabricbo.imagefiles import to_rgb
from objectives.networks import Network, Place, extra_module, found, in_batches, shared
from objectives.parameters import check_format, check_parameters, fill, read_parameters
from objectives.targets import open_targets

EXTRA = "perceptual"
WEIGHTS = {
    "alex": "AlexNet_Weights",
    "vgg": "VGG16_Weights",
    "squeeze": "SqueezeNet1_1_Weights",
}
"""Torchvision's names of the backbones' parameters."""
PAIRS = 4
"""Pairs of images that go through the network at once; all layers' features are kept of them."""
FILTER = Image.Resampling.BICUBIC
"""That targets are resized with."""
SMALLEST = 31
"""Pixels a side that leave one place in the last layer of each backbone."""


@objective(
    name="lpips",
    direction="minimize",
    card=Card(
        scale="distance, 0 (the same) to about 1",
        source="arXiv 1801.03924, equation 1; github.com/richzhang/PerceptualSimilarity",
        licence="lpips: BSD-2-Clause; torchvision: BSD-3-Clause",
        checkpoint="torchvision's AlexNet for ImageNet (a pickle: needs allow_pickle)",
        checkpoint_licence="BSD-3-Clause",
        parameters=61,
        extra=EXTRA,
    ),
)
class Lpips:
    """LPIPS, version 0.1, between an image and a target; with several, the mean. Minimized.

    Images keep their size; targets are brought to it, cut at the sides where their shape differs.
    The prompt is not looked at.
    """

    def __init__(
        self,
        target: str,
        net: str = "alex",
        *,
        backbone: str | None = None,
        allow_pickle: bool = False,
        device: str = "auto",
        offload: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Open the target, or the targets, and check what to load.

        Args:
            target: path of an image, or of a folder of images.
            net: `alex`, `vgg` or `squeeze`: AlexNet, VGG16 or SqueezeNet 1.1.
            backbone: file with its parameters as torchvision names them; None: torchvision's own.
            allow_pickle: whether a `.pth` file is read, as tensors only.
            device: `auto`, `cpu`, `cuda` or `mps`.
            offload: whether it leaves the device after each use.
            dtype: `float32`, `float16` or `bfloat16`.

        Raises:
            ObjectiveError: the target cannot be read, no such net, file, device or precision, or
                a pickle without permission.
        """
        if net not in WEIGHTS:
            raise ObjectiveError(f"net must be one of {', '.join(WEIGHTS)}, got {net!r}")
        if backbone is None:
            check_format(Path(_url(net)).name, allow_pickle=allow_pickle)
        else:
            check_parameters(Path(backbone).expanduser(), allow_pickle=allow_pickle)
        self._targets = open_targets(target)
        self._net, self._backbone = net, backbone
        self._place = Place(device, offload, dtype)

    def load(self) -> None:
        """Load the network.

        Raises:
            ObjectiveError: lpips is not installed, or the backbone's parameters are neither here
                nor can they be fetched.
        """
        self._network()

    def __call__(self, images: Sequence[Image.Image], _prompt: str) -> list[float]:
        """Return one distance an image."""
        shown = [_large_enough(to_rgb(image)) for image in images]
        size = PAIRS if len({image.size for image in shown}) == 1 else 1
        network = self._network()
        with network.at_work() as model:

            def distance(pairs: Sequence[tuple[Image.Image, Image.Image]]) -> Tensor:
                first = self._pixels([image for image, _ in pairs])
                fitted = [ImageOps.fit(to, image.size, FILTER) for image, to in pairs]
                distances: Tensor = model(first, self._pixels(fitted))
                return distances.flatten()

            pairs = list(product(shown, self._targets))
            distances = in_batches(distance, pairs, size)
        means: list[float] = distances.reshape(len(shown), -1).mean(dim=1).tolist()
        return means

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Return pixels in [-1, 1], which is what LPIPS takes."""
        from torchvision.transforms.functional import to_tensor

        pixels = torch.stack([to_tensor(image) for image in images]) * 2 - 1
        return pixels.to(self._place.torch_device, self._place.torch_dtype)

    def _network(self) -> Network:
        return shared(load_lpips, self._net, self._backbone, self._place)


def load_lpips(net: str, backbone: str | None, place: Place) -> Network:
    """Load the package's fitted weights, and the backbone's parameters.

    Raises:
        ObjectiveError: lpips is not installed, or the parameters are neither here nor can they
            be fetched, or are those of something else.
    """
    lpips = extra_module("lpips", EXTRA)
    with found("backbone", backbone or _url(net), _cached(net)):
        path = _fetched(net) if backbone is None else Path(backbone).expanduser()
        # The constructor has seen the permission. The package's own loader would read without
        # torch's weights_only, so it is told that there is nothing to read.
        parameters = read_parameters(
            path, allow_pickle=True, digest=_digest(net) if backbone is None else None
        )
        # Parameters are drawn before they are set; and it calls torchvision in an older way.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        _set_backbone(model.net, parameters)
    return Network(model.requires_grad_(False).to(place.torch_dtype), None, place)


def _set_backbone(slices: Any, parameters: dict[str, Tensor]) -> None:
    """Set the backbone, which lpips cuts in slices: `slice2.3.weight` is `features.3.weight`."""
    names = {name: f"features.{name.partition('.')[2]}" for name in slices.state_dict()}
    there = {name: parameters[theirs] for name, theirs in names.items() if theirs in parameters}
    fill(slices, there)


def _large_enough(image: Image.Image) -> Image.Image:
    if min(image.size) < SMALLEST:
        raise ObjectiveError(
            f"images must have at least {SMALLEST} pixels a side, got {image.width} x "
            f"{image.height}"
        )
    return image


def _url(net: str) -> str:
    from torchvision import models

    url: str = getattr(models, WEIGHTS[net]).IMAGENET1K_V1.url
    return url


def _digest(net: str) -> str:
    """Return how the file's SHA-256 begins, which torchvision keeps in its name."""
    return Path(_url(net)).stem.rpartition("-")[2]


def _cached(net: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(_url(net)).name


def _fetched(net: str) -> Path:
    path = _cached(net)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(_url(net), str(path), _digest(net), progress=False)
    return path
