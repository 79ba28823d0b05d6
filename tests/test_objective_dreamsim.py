"""DreamSim on small releases with random parameters, against the network written out in torch."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fabricbo import ObjectiveError
from fabricbo.testing import check_objective, pictures
from fabricbo.torchvision_compat import ensure_importable
from objectives.dreamsim import FILES, DreamSim, _cached, load_dreamsim
from objectives.networks import Place, shared

ensure_importable()

from dreamsim.feature_extraction import (  # noqa: E402
    load_clip_as_dino,
    load_open_clip_as_dino,
    load_synclr_as_dino,
)
from dreamsim.feature_extraction.vision_transformer import VisionTransformer  # noqa: E402

KINDS = list(FILES)
LOADERS = {
    "open_clip_vitb32": load_open_clip_as_dino,
    "clip_vitb32": load_clip_as_dino,
    "synclr_vitb16": load_synclr_as_dino,
}
WIDTH, HEADS, DEPTH, RANK, ALPHA = 32, 4, 12, 4, 2.0
CLIP = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module", autouse=True)
def small():
    """The package's loaders know one width; here they make a narrower network of the same kind."""
    saved = {kind: module.vit_base for kind, module in LOADERS.items()}
    norm = partial(nn.LayerNorm, eps=1e-6)
    options = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS, "norm_layer": norm}
    for module in LOADERS.values():
        module.vit_base = partial(VisionTransformer, qkv_bias=True, **options)
    shared.cache_clear()
    yield
    for kind, module in LOADERS.items():
        module.vit_base = saved[kind]
    shared.cache_clear()


def drawn(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes.items():
        around = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        made[name] = around + torch.randn(shape, generator=generator) * 0.2
    return made


def write_release(folder: Path, kind: str, *, adapter: str = "adapter_model.safetensors") -> Path:
    """Write what a release of the package has: a backbone, and a LoRA adapter for `qkv`."""
    backbone, lora = FILES[kind]
    (folder / lora).mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        made = VisionTransformer(
            patch_size=int(kind[-2:]), embed_dim=WIDTH, depth=DEPTH, qkv_bias=True
        )
    if kind != "synclr_vitb16":
        made.pos_drop = nn.LayerNorm(WIDTH)
    shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
    state = drawn(shapes, 1)
    if kind == "synclr_vitb16":
        torch.save(
            {"model": {f"module.visual.{n}": v for n, v in state.items()}}, folder / backbone
        )
    else:
        state["proj"] = drawn({"proj": (WIDTH, 16)}, 2)["proj"]
        torch.save({"state_dict": state}, folder / backbone)
    name = "base_model.model.extractor_list.0.model.blocks.{}.attn.qkv.lora_{}.weight"
    parts = drawn(
        {
            name.format(k, part): shape
            for k in range(DEPTH)
            for part, shape in (("A", (RANK, WIDTH)), ("B", (3 * WIDTH, RANK)))
        },
        3,
    )
    config = {
        "base_model_name_or_path": None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.3,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": ["qkv"],
        "task_type": None,
    }
    (folder / lora / "adapter_config.json").write_text(json.dumps(config))
    if adapter.endswith(".bin"):
        torch.save(parts, folder / lora / adapter)
    else:
        from safetensors.torch import save_file

        save_file(parts, folder / lora / adapter)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("dreamsim")
    for kind in KINDS:
        write_release(made / kind, kind)
    pictures()[0].save(made / "target.png")
    return made


def objective(made: Path, kind: str = "open_clip_vitb32", **options) -> DreamSim:
    target = str(options.pop("target", made / "target.png"))
    return DreamSim(target, kind, **{"folder": str(made / kind), "allow_pickle": True, **options})


def embedding(folder: Path, kind: str, image: Image.Image) -> Tensor:
    """The vision transformer with the adapter added to its parameters, in torch's own words."""
    backbone, lora = (folder / kind / name for name in FILES[kind])
    state = torch.load(backbone, weights_only=True)
    synclr = kind == "synclr_vitb16"
    p = {k[14:]: v for k, v in state["model"].items()} if synclr else state["state_dict"]
    from safetensors.torch import load_file

    adapter = load_file(lora / "adapter_model.safetensors")
    mean, std = IMAGENET if synclr else CLIP
    values = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    x = torch.tensor((values - mean) / std, dtype=torch.float32).permute(2, 0, 1)[None]
    x = F.conv2d(x, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], int(kind[-2:]))
    x = torch.cat([p["cls_token"][0], x[0].flatten(1).T]) + p["pos_embed"][0]
    eps = 1e-6 if synclr else 1e-5

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (WIDTH,), p[f"{name}.weight"], p[f"{name}.bias"], eps)

    def activated(x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x) if kind == "clip_vitb32" else F.gelu(x)

    if not synclr:
        x = norm("pos_drop", x)
    for k in range(DEPTH):
        block = f"blocks.{k}"
        name = f"base_model.model.extractor_list.0.model.{block}.attn.qkv.lora_"
        added = adapter[f"{name}B.weight"] @ adapter[f"{name}A.weight"] * ALPHA / RANK
        weight = p[f"{block}.attn.qkv.weight"] + added
        qkv = F.linear(norm(f"{block}.norm1", x), weight, p[f"{block}.attn.qkv.bias"])
        q, key, v = (part.view(len(x), HEADS, -1).transpose(0, 1) for part in qkv.chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, key, v).transpose(0, 1).flatten(1)
        x = x + F.linear(mixed, p[f"{block}.attn.proj.weight"], p[f"{block}.attn.proj.bias"])
        hidden = norm(f"{block}.norm2", x)
        hidden = activated(
            F.linear(hidden, p[f"{block}.mlp.fc1.weight"], p[f"{block}.mlp.fc1.bias"])
        )
        x = x + F.linear(hidden, p[f"{block}.mlp.fc2.weight"], p[f"{block}.mlp.fc2.bias"])
    found = x[0] if synclr else norm("norm", x)[0] @ p["proj"]
    return found - found.mean()


@pytest.mark.parametrize("kind", KINDS)
def test_is_one_minus_the_cosine(folder: Path, kind: str) -> None:
    made = torch.stack([embedding(folder, kind, image) for image in pictures()])
    expected = (1 - torch.cosine_similarity(made, made[:1])).tolist()
    found = objective(folder, kind)(pictures(), "ignored")
    assert found == pytest.approx(expected, abs=2e-5)
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert min(found[1:]) > 1e-4


def test_several_targets_give_the_mean(folder: Path, tmp_path: Path) -> None:
    singles = []
    for k, picture in enumerate(pictures()[:3]):
        picture.save(tmp_path / f"{k}.png")
        singles.append(objective(folder, target=tmp_path / f"{k}.png")(pictures(), ""))
    found = objective(folder, target=tmp_path)(pictures(), "")
    assert found == pytest.approx(np.mean(singles, axis=0).tolist(), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_keeps_the_contract(folder: Path, kind: str) -> None:
    check_objective(objective(folder, kind))


def test_transparent_parts_are_white(folder: Path) -> None:
    clear, white = Image.new("RGBA", (40, 40), (9, 9, 9, 0)), Image.new("RGB", (40, 40), "white")
    first, second = objective(folder)([clear, white], "")
    assert first == pytest.approx(second, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_near(folder: Path, kind: str) -> None:
    exact = objective(folder, kind).embed(pictures())
    rough = objective(folder, kind, dtype="bfloat16").embed(pictures())
    assert torch.cosine_similarity(exact, rough).min() > 0.98


def test_adapters_that_are_pickles_give_the_same(folder: Path, tmp_path: Path) -> None:
    write_release(tmp_path / "old", "open_clip_vitb32", adapter="adapter_model.bin")
    old = objective(folder, folder=str(tmp_path / "old"))
    assert old(pictures(), "") == objective(folder)(pictures(), "")


def test_an_adapter_with_other_names_is_no_silent_nothing(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    made = write_release(tmp_path / "made", "clip_vitb32")
    file = made / FILES["clip_vitb32"][1] / "adapter_model.safetensors"
    save_file({f"other.{name}": value for name, value in load_file(file).items()}, file)
    with pytest.raises(ObjectiveError, match="adapter does not fit"):
        objective(folder, "clip_vitb32", folder=str(made)).load()


def test_pickles_need_permission(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        objective(folder, allow_pickle=False)
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        DreamSim(str(folder / "target.png"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["backbone", "adapter"])
def test_a_pickle_with_code_is_not_run(folder: Path, tmp_path: Path, kind: str, where: str) -> None:
    """The package's own loaders read tensors only: if that changes, this fails."""

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    made = write_release(tmp_path / "evil", kind, adapter="adapter_model.bin")
    backbone, lora = FILES[kind]
    file = made / backbone if where == "backbone" else made / lora / "adapter_model.bin"
    torch.save({"state_dict": Evil(), "model": Evil()}, file)
    with pytest.raises(ObjectiveError, match="cannot be loaded"):
        objective(folder, kind, folder=str(made)).load()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["ensemble", "dino_vitb16", "dinov2_vitb14"])
def test_kinds_whose_loader_runs_fetched_code_are_not_offered(folder: Path, kind: str) -> None:
    with pytest.raises(ObjectiveError, match="as code, and runs that; there: open_clip_vitb32"):
        objective(folder, kind)


def test_unknown_kind_target_device_and_precision(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="kind must be one of"):
        objective(folder, "resnet")
    with pytest.raises(ObjectiveError, match=r"target: .*missing\.png"):
        objective(folder, target=folder / "missing.png")
    with pytest.raises(ObjectiveError, match="device must be auto or one of"):
        objective(folder, device="tpu")
    with pytest.raises(ObjectiveError, match="dtype must be one of"):
        objective(folder, dtype="int8")


def test_a_folder_that_lacks_a_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError, match=r"has no clip_vitb32_pretrain\.pth\.tar"):
        objective(folder, "clip_vitb32", folder=str(tmp_path))


def test_missing_release_offline(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(url: str, *_args: object, **_options: object) -> None:
        raise OSError(f"no route to {url}")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    kept = rf"{tmp_path}/hub/dreamsim/clip_vitb32"
    with pytest.raises(ObjectiveError, match=rf"clip_vitb32_checkpoint\.zip.*cache \({kept}\)"):
        DreamSim(str(folder / "target.png"), "clip_vitb32", allow_pickle=True).load()


def test_missing_extra(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "dreamsim", None)
    with pytest.raises(ObjectiveError, match=r"pip install 'fabricbo\[perceptual\]'"):
        load_dreamsim("clip_vitb32", str(folder / "clip_vitb32"), Place("cpu"))


def test_is_loaded_once_quietly_and_leaves_the_random_state(
    folder: Path, tmp_path: Path, capsys
) -> None:
    made = str(write_release(tmp_path / "made", "clip_vitb32"))
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first = objective(folder, "clip_vitb32", folder=made)
    first.load()
    assert torch.equal(torch.rand(3), expected)
    assert capsys.readouterr().out == ""
    assert objective(folder, "clip_vitb32", folder=made)._network() is first._network()


@pytest.mark.hub
@pytest.mark.parametrize("kind", KINDS)
def test_real_release_finds_a_shifted_picture_nearer_than_another(
    kind: str, tmp_path: Path
) -> None:
    """No values are published for pictures that one could have; the order must be right."""
    if not (_cached(kind) / FILES[kind][0]).is_file():
        pytest.skip(f"the release of dreamsim {kind} is not in {_cached(kind)}")
    pictures()[1].save(tmp_path / "target.png")
    measure = DreamSim(str(tmp_path / "target.png"), kind, allow_pickle=True)
    same, shifted, other = measure(
        [pictures()[1], pictures()[1].rotate(0, translate=(2, 2)), pictures()[2]], ""
    )
    assert same == pytest.approx(0, abs=1e-5)
    assert same < shifted < other
