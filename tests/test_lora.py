"""LoRA files in every published layout of names draw the same images."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fabricbo.records import Action, FabricParams
from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline
from fabricbo.sampler.lora import needs_other_names, read_lora, rename_lora
from tests.tiny import reference

ACTION = Action(
    FabricParams(denoising_steps=3, guidance_scale=3.0),
    liked=(reference("red"),),
    disliked=(reference("blue"),),
)
PLAIN = Action(ACTION.params)
Parameters = Mapping[str, Tensor]


@pytest.fixture(scope="module")
def folder(session_pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "model"
    session_pipeline.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def published(session_pipeline: Any) -> dict[str, Tensor]:
    """A LoRA with effect, named as the one of the Human Preference Score was published."""
    generator = torch.Generator().manual_seed(1)
    found = {}
    for name, module in session_pipeline.unet.named_modules():
        if not name.endswith(("attn1", "attn2")):
            continue
        layers = {p: getattr(module, p) for p in ("to_q", "to_k", "to_v")}
        for projection, layer in (layers | {"to_out": module.to_out[0]}).items():
            stem = f"{name}.processor.{projection}_lora"
            down = torch.randn(2, layer.in_features, generator=generator)
            up = torch.randn(layer.out_features, 2, generator=generator)
            found |= {f"{stem}.down.weight": 0.3 * down, f"{stem}.up.weight": 0.3 * up}
    return found


def peft_name(name: str) -> str:
    for projection in ("to_q", "to_k", "to_v"):
        name = name.replace(f"processor.{projection}_lora", projection)
    name = name.replace("processor.to_out_lora", "to_out.0")
    return name.replace("down.weight", "lora_A.weight").replace("up.weight", "lora_B.weight")


def as_published(parameters: Parameters) -> dict[str, Tensor]:
    return dict(parameters)


def as_diffusers_saves(parameters: Parameters) -> dict[str, Tensor]:
    return {f"unet.{peft_name(name)}": values for name, values in parameters.items()}


def as_peft_of_a_unet(parameters: Parameters) -> dict[str, Tensor]:
    return {peft_name(name): values for name, values in parameters.items()}


def as_peft_saves(parameters: Parameters) -> dict[str, Tensor]:
    return {f"base_model.model.{peft_name(n)}": values for n, values in parameters.items()}


LAYOUTS = (as_published, as_diffusers_saves, as_peft_of_a_unet, as_peft_saves)


def drawn(folder: Path, lora: Path | None, action: Action = ACTION) -> np.ndarray:
    sampler = FabricSampler(load_pipeline(Checkpoint(str(folder), lora=lora, device="cpu")))
    return np.asarray(sampler(action, "a cat", [5])[0], dtype=np.int16)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("action", [ACTION, PLAIN], ids=["with feedback", "without"])
def test_layouts_draw_the_same(
    folder: Path,
    published: Parameters,
    tmp_path: Path,
    layout: Callable[[Parameters], dict[str, Tensor]],
    action: Action,
) -> None:
    expected = tmp_path / "expected.safetensors"
    save_file(as_diffusers_saves(published), expected)
    file = tmp_path / "lora.safetensors"
    save_file(layout(published), file)
    with_lora = drawn(folder, file, action)
    assert np.array_equal(with_lora, drawn(folder, expected, action))
    assert not np.array_equal(with_lora, drawn(folder, None, action))


def test_lora_is_the_product_of_its_factors(
    folder: Path, published: Parameters, tmp_path: Path
) -> None:
    """The published layout means: parameters plus up times down, without a scale."""
    save_file(published, tmp_path / "lora.safetensors")
    pipeline = load_pipeline(Checkpoint(str(folder), device="cpu"))
    for name, module in pipeline.unet.named_modules():
        if name.endswith(("attn1", "attn2")):
            layers = {"to_q": module.to_q, "to_k": module.to_k, "to_v": module.to_v}
            for projection, layer in (layers | {"to_out": module.to_out[0]}).items():
                stem = f"{name}.processor.{projection}_lora"
                up, down = published[f"{stem}.up.weight"], published[f"{stem}.down.weight"]
                layer.weight.data += up @ down
    by_hand = np.asarray(FabricSampler(pipeline)(ACTION, "a cat", [5])[0], dtype=np.int16)
    assert np.abs(by_hand - drawn(folder, tmp_path / "lora.safetensors")).max() <= 1


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"r": 2, "lora_alpha": 4}, 2.0),
        ({"r": 4, "lora_alpha": 4}, 1.0),
        ({"r": 4, "lora_alpha": 4, "use_rslora": True}, 2.0),
    ],
    ids=str,
)
def test_scale_beside_a_peft_file_is_worked_in(
    published: Parameters, tmp_path: Path, config: dict[str, Any], scale: float
) -> None:
    file = tmp_path / "adapter_model.safetensors"
    save_file(as_peft_saves(published), file)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    found, plain = read_lora(file), as_diffusers_saves(published)
    assert set(found) == set(plain)
    for name, values in found.items():
        factor = scale if "lora_B" in name else 1.0
        assert torch.equal(values, plain[name] * factor)


def test_what_peft_cannot_hand_over_is_refused(
    folder: Path, published: Parameters, tmp_path: Path
) -> None:
    save_file(as_peft_saves(published), tmp_path / "lora.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"r": 2, "lora_alpha": 2, "use_dora": true}')
    with pytest.raises(ValueError, match=r"lora\.safetensors cannot be loaded: .*use_dora"):
        drawn(folder, tmp_path / "lora.safetensors")


def test_names_of_others_are_left_alone(tmp_path: Path) -> None:
    names = ("unet.a.lora_A.weight", "text_encoder.b.lora_A.weight", "lora_unet_c.lora_up.weight")
    parameters = {name: torch.ones(1) for name in names}
    save_file(parameters, tmp_path / "lora.safetensors")
    assert not needs_other_names(tmp_path / "lora.safetensors")
    assert set(rename_lora(parameters)) == set(names)


def test_file_is_not_changed(published: Parameters, tmp_path: Path) -> None:
    save_file(published, tmp_path / "lora.safetensors")
    read_lora(tmp_path / "lora.safetensors")
    assert set(load_file(tmp_path / "lora.safetensors")) == set(published)
