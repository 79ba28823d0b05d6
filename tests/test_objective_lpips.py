"""LPIPS with random backbones in torchvision's format, against equation 1 written out."""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from fabricbo import ObjectiveError
from fabricbo.testing import check_objective, pictures
from fabricbo.torchvision_compat import ensure_importable
from objectives.lpips import SMALLEST, Lpips, _cached, load_lpips
from objectives.networks import Place

ensure_importable()

import lpips  # noqa: E402
from torchvision import models  # noqa: E402

MAKERS = {"alex": models.alexnet, "vgg": models.vgg16, "squeeze": models.squeezenet1_1}
LAYERS = {
    "alex": (1, 4, 7, 9, 11),
    "vgg": (3, 8, 15, 22, 29),
    "squeeze": (1, 4, 7, 9, 10, 11, 12),
}
"""Of torchvision's `features`: those whose outputs count."""
NETS = list(MAKERS)


def write_backbone(folder: Path, net: str) -> Path:
    """Write random parameters as torchvision's file has them, the classifier made small."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = MAKERS[net](weights=None)
    made.classifier = nn.Linear(1, 1)
    for parameter in made.parameters():
        parameter.data *= 1.5  # torchvision's initial features fade from layer to layer
    torch.save(made.state_dict(), folder / f"{net}.pth")
    return folder / f"{net}.pth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("backbones")
    for net in NETS:
        write_backbone(made, net)
    pictures()[0].save(made / "target.png")
    return made


def objective(folder: Path, net: str = "alex", target: Path | None = None, **options) -> Lpips:
    where = str(target or folder / "target.png")
    backbone = str(folder / f"{net}.pth")
    return Lpips(where, net, **{"backbone": backbone, "allow_pickle": True, **options})


@cache
def stack(net: str, backbone: Path) -> nn.Sequential:
    made = MAKERS[net](weights=None).features.eval()
    state = torch.load(backbone, weights_only=True)
    made.load_state_dict({k[9:]: v for k, v in state.items() if k.startswith("features.")})
    return made[: LAYERS[net][-1] + 1]


def features(net: str, backbone: Path, image: Image.Image) -> list[Tensor]:
    values = np.asarray(image, dtype=np.float64) / 127.5 - 1
    values = (values - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    x = torch.tensor(values, dtype=torch.float32).permute(2, 0, 1)[None]
    kept = []
    with torch.no_grad():
        for index, layer in enumerate(stack(net, backbone)):
            x = layer(x)
            if index in LAYERS[net]:
                kept.append(x[0].clone())  # later layers write into it
    return kept


def distance(net: str, backbone: Path, one: Image.Image, other: Image.Image) -> float:
    """Equation 1: features of unit length, weighted, squared, summed over channels and layers."""
    file = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    fitted = torch.load(file, map_location="cpu", weights_only=True)
    total = 0.0
    pairs = zip(features(net, backbone, one), features(net, backbone, other), strict=True)
    for index, (a, b) in enumerate(pairs):
        weights = fitted[f"lin{index}.model.1.weight"].flatten()
        gap = (a / (a.norm(dim=0) + 1e-10) - b / (b.norm(dim=0) + 1e-10)) ** 2
        total += float((weights[:, None, None] * gap).sum(dim=0).mean())
    return total


@pytest.mark.parametrize("net", NETS)
def test_is_equation_1(folder: Path, net: str) -> None:
    target = pictures()[0]
    expected = [distance(net, folder / f"{net}.pth", image, target) for image in pictures()]
    found = objective(folder, net)(pictures(), "ignored")
    assert found == pytest.approx(expected, abs=1e-5)
    assert found[0] == pytest.approx(0, abs=1e-7)
    assert min(found[1:]) > 1e-3


def test_several_targets_give_the_mean(folder: Path, tmp_path: Path) -> None:
    singles = []
    for k, picture in enumerate(pictures()[:3]):
        picture.save(tmp_path / f"{k}.png")
        singles.append(objective(folder, target=tmp_path / f"{k}.png")(pictures(), ""))
    found = objective(folder, target=tmp_path)(pictures(), "")
    assert found == pytest.approx(np.mean(singles, axis=0).tolist(), abs=1e-6)


def test_targets_are_brought_to_the_size_of_the_images(folder: Path, tmp_path: Path) -> None:
    wide = pictures()[1].resize((200, 100))
    wide.save(tmp_path / "wide.png")
    fitted = ImageOps.fit(wide, pictures()[0].size, Image.Resampling.BICUBIC)
    expected = [distance("alex", folder / "alex.pth", image, fitted) for image in pictures()]
    found = objective(folder, target=tmp_path / "wide.png")(pictures(), "")
    assert found == pytest.approx(expected, abs=1e-5)


def test_images_of_different_sizes(folder: Path) -> None:
    shown = [pictures()[1], pictures()[1].resize((60, 60)), pictures()[2]]
    whole = objective(folder)(shown, "")
    alone = [objective(folder)([image], "")[0] for image in shown]
    assert whole == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("net", NETS)
def test_keeps_the_contract(folder: Path, net: str) -> None:
    check_objective(objective(folder, net))


@pytest.mark.parametrize("net", NETS)
def test_smallest_images(folder: Path, net: str) -> None:
    small = Image.linear_gradient("L").resize((SMALLEST, SMALLEST))
    assert objective(folder, net)([small], "")[0] > 0
    with pytest.raises(ObjectiveError, match="at least 31 pixels a side, got 40 x 30"):
        objective(folder, net)([small.resize((40, SMALLEST - 1))], "")


def test_transparent_parts_are_white(folder: Path) -> None:
    clear, white = Image.new("RGBA", (40, 40), (9, 9, 9, 0)), Image.new("RGB", (40, 40), "white")
    first, second = objective(folder)([clear, white], "")
    assert first == pytest.approx(second, abs=1e-7)


def test_half_precision_is_near(folder: Path) -> None:
    exact = objective(folder)(pictures(), "")
    rough = objective(folder, dtype="bfloat16")(pictures(), "")
    assert rough == pytest.approx(exact, rel=0.05, abs=1e-3)


def test_safetensors_need_no_permission(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(torch.load(folder / "alex.pth", weights_only=True), tmp_path / "a.safetensors")
    safe = objective(folder, backbone=str(tmp_path / "a.safetensors"), allow_pickle=False)
    assert safe(pictures(), "") == objective(folder)(pictures(), "")


def test_pickles_need_permission(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        objective(folder, allow_pickle=False)
    with pytest.raises(
        ObjectiveError, match=r"alexnet-owt-7be5be79\.pth is a pickle.*allow_pickle"
    ):
        Lpips(str(folder / "target.png"))


def test_a_pickle_with_code_is_not_run(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ObjectiveError, match="cannot be read"):
        objective(folder, backbone=str(tmp_path / "evil.pth")).load()
    assert not (tmp_path / "ran").exists()


def test_another_backbone_is_refused(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match=r"do not fit alexnet: they (lack|have another shape)"):
        objective(folder, "alex", backbone=str(folder / "squeeze.pth")).load()


def test_unknown_net_target_device_and_precision(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="net must be one of alex, vgg, squeeze"):
        objective(folder, "resnet")
    with pytest.raises(ObjectiveError, match=r"target: .*missing\.png"):
        objective(folder, target=folder / "missing.png")
    with pytest.raises(ObjectiveError, match="device must be auto or one of"):
        objective(folder, device="tpu")
    with pytest.raises(ObjectiveError, match="dtype must be one of"):
        objective(folder, dtype="int8")


def test_missing_backbone_offline(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(url: str, *_args: object, **_options: object) -> None:
        raise OSError(f"no route to {url}")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    kept = rf"{tmp_path}/hub/checkpoints/vgg16-397923af\.pth"
    with pytest.raises(ObjectiveError, match=rf"vgg16-397923af.*cache \({kept}\).*put it there"):
        Lpips(str(folder / "target.png"), "vgg", allow_pickle=True).load()


def test_a_damaged_download_is_refused(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    kept = tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    kept.write_bytes((folder / "alex.pth").read_bytes())
    with pytest.raises(ObjectiveError, match="SHA-256 differs"):
        Lpips(str(folder / "target.png"), allow_pickle=True).load()


def test_missing_extra(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ObjectiveError, match=r"pip install 'fabricbo\[perceptual\]'"):
        load_lpips("alex", str(folder / "alex.pth"), Place("cpu"))


def test_is_loaded_once_and_leaves_the_random_state(folder: Path, tmp_path: Path) -> None:
    backbone = str(write_backbone(tmp_path, "alex"))
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first = objective(folder, backbone=backbone)
    first.load()
    assert torch.equal(torch.rand(3), expected)
    assert objective(folder, backbone=backbone)._network() is first._network()


@pytest.mark.hub
@pytest.mark.parametrize("net", NETS)
def test_real_backbone_gives_what_the_package_gives(net: str, folder: Path) -> None:
    """No values are published; the package's own loader and call are what there is to equal."""
    if not _cached(net).is_file():
        pytest.skip(f"torchvision's parameters of {net} are not at {_cached(net)}")
    measure = Lpips(str(folder / "target.png"), net, allow_pickle=True)
    stock = lpips.LPIPS(net=net, verbose=False)
    shown = [lpips.im2tensor(np.asarray(image)) for image in pictures()]
    expected = [float(stock(one, shown[0])) for one in shown]
    assert measure(pictures(), "") == pytest.approx(expected, abs=1e-5)
