"""Checkpoints: what cannot be loaded is refused first, what can is really loaded."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fabricbo.compose import create_study
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import Checkpoint, FabricSampler, checkpoints, hand_settings, load_pipeline
from tests.fakes import redness
from tests.original_layout import original_layout
from tests.tiny import reference, tiny_pipeline, tiny_xl_pipeline

ACTION = Action(
    FabricParams(denoising_steps=3, guidance_scale=3.0),
    liked=(reference("red"),),
    disliked=(reference("blue"),),
)
PLAIN = Action(ACTION.params)
XL_KEY = "conditioner.embedders.1.model.ln_final.bias"


def pixels(pipeline: Any, action: Action = ACTION) -> np.ndarray:
    return np.asarray(FabricSampler(pipeline)(action, "a cat", [5])[0], dtype=np.int16)


@pytest.fixture(scope="module")
def folder(session_pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline in diffusers' format."""
    path = tmp_path_factory.mktemp("checkpoint") / "model"
    session_pipeline.save_pretrained(path)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may damage."""
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def single_file(session_pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("single") / "model.safetensors"
    save_file(original_layout(session_pipeline), path)
    return path


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of the tiny U-Net, with effect."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig, get_peft_model_state_dict

    path = tmp_path_factory.mktemp("lora")
    unet = tiny_pipeline(path / "tokenizer").unet
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        targets = ["to_q", "to_k", "to_v", "to_out.0"]
        unet.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=targets))
    StableDiffusionPipeline.save_lora_weights(
        path, unet_lora_layers=get_peft_model_state_dict(unet), weight_name="style.safetensors"
    )
    return path / "style.safetensors"


@pytest.fixture
def nothing_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sure that a refusal comes before anything is loaded."""
    monkeypatch.setattr(checkpoints, "_load", lambda *_: pytest.fail("loaded"))


@pytest.mark.usefixtures("nothing_loads")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "none"}, "checkpoint must be `demo`, a folder .* got 'none'"),
        ({"name": "a/b/c"}, "hub id like owner/name, got 'a/b/c'"),
        ({"name": "a b/c"}, "got 'a b/c'"),
        ({"name": "https://example.com/model"}, "hub id like owner/name"),
        ({"name": "none.safetensors"}, r"checkpoint: no file none\.safetensors"),
        ({"name": "none.ckpt"}, r"checkpoint: no file none\.ckpt"),
        ({"device": "tpu"}, "device must be auto, cpu, cuda or mps, got 'tpu'"),
        ({"lora": Path("none.safetensors")}, r"lora: no file none\.safetensors"),
        ({"clip_skip": -1}, "clip_skip must be at least 0, got -1"),
        ({"precision": "int8"}, "precision must be one of auto, float32, .*, got 'int8'"),
        ({"config": Path("none")}, "config must be a folder with a model_index.json, got none"),
    ],
    ids=str,
)
def test_bad_checkpoint_is_refused(fields, message) -> None:
    with pytest.raises(ValueError, match=message):
        Checkpoint(**fields)


@pytest.mark.usefixtures("nothing_loads")
@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".zip", ""])
@pytest.mark.parametrize("field", ["checkpoint", "lora"])
def test_other_formats_are_refused_for_what_they_can_do(tmp_path: Path, suffix, field) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{field} must be a \.safetensors file, .*can run code"):
        Checkpoint(str(file)) if field == "checkpoint" else Checkpoint(lora=file)


@pytest.mark.usefixtures("nothing_loads")
def test_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"checkpoint folder .* has no model_index\.json"):
        Checkpoint(str(tmp_path))


@pytest.mark.parametrize(("device", "best"), [("cuda", "cpu"), ("mps", "cpu"), ("mps", "cuda")])
def test_device_that_is_not_there_is_refused(monkeypatch, device: str, best: str) -> None:
    monkeypatch.setattr(checkpoints, "_best_device", lambda: best)
    with pytest.raises(ValueError, match=f"device {device} is not present; auto takes {best}"):
        Checkpoint(device=device)  # type: ignore[arg-type]


def test_folder_is_loaded_as_it_was_saved(folder: Path, pipeline: Any) -> None:
    loaded = load_pipeline(Checkpoint(str(folder), device="cpu"))
    assert loaded.unet.dtype == torch.float32
    assert loaded.safety_checker is None
    assert np.array_equal(pixels(loaded), pixels(pipeline))


def test_home_is_understood(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    checkpoint = Checkpoint("~/model", config=Path("~/model"), device="cpu")
    assert load_pipeline(checkpoint).unet is not None


def test_hub_id_offline_says_where_it_looked() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_pipeline(Checkpoint("fabricbo-tests/none", device="cpu"))
    message = str(caught.value)
    from huggingface_hub.constants import HF_HUB_CACHE

    assert message.startswith("checkpoint 'fabricbo-tests/none' is not in the cache")
    assert str(HF_HUB_CACHE) in message
    assert "`demo` needs no network" in message


def without_unet(copy: Path) -> None:
    (copy / "unet" / "diffusion_pytorch_model.safetensors").unlink()


def truncated_unet(copy: Path) -> None:
    truncate(copy / "unet" / "diffusion_pytorch_model.safetensors")


def truncated_text_encoder(copy: Path) -> None:
    truncate(copy / "text_encoder" / "model.safetensors")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def empty_index(copy: Path) -> None:
    (copy / "model_index.json").write_text("{}")


def broken_index(copy: Path) -> None:
    (copy / "model_index.json").write_text("{")


def other_shapes(copy: Path) -> None:
    edit(copy / "unet" / "config.json", block_out_channels=[16, 64])


def other_pipeline(copy: Path) -> None:
    (copy / "model_index.json").write_text(
        json.dumps({"_class_name": "FluxPipeline", "scheduler": ["diffusers", "DDIMScheduler"]})
    )


def pickle_only(copy: Path) -> None:
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()


def own_component_code(copy: Path) -> None:
    (copy / "mine.py").write_text(SABOTAGE)
    edit(copy / "model_index.json", unet=["mine", "Network"])


def own_pipeline_code(copy: Path) -> None:
    (copy / "pipeline.py").write_text(SABOTAGE)
    edit(copy / "model_index.json", _class_name=["pipeline", "Pipeline"])


SABOTAGE = "raise SystemExit('code of a checkpoint was run')\n"


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    "damage",
    [
        without_unet,
        truncated_unet,
        truncated_text_encoder,
        empty_index,
        broken_index,
        other_shapes,
        other_pipeline,
        pickle_only,
        own_component_code,
        own_pipeline_code,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damaged_or_foreign_folder_is_named(copy: Path, damage: Callable[[Path], None]) -> None:
    damage(copy)
    expected = rf"checkpoint .*{copy.name} cannot be loaded as a Stable Diffusion pipeline: "
    with pytest.raises(ValueError, match=expected):
        load_pipeline(Checkpoint(str(copy), device="cpu"))


def test_single_file_is_loaded_with_its_config(single_file, folder, pipeline) -> None:
    loaded = load_pipeline(Checkpoint(str(single_file), config=folder, device="cpu"))
    for part in ("unet", "vae", "text_encoder"):
        expected = getattr(pipeline, part).state_dict()
        found = getattr(loaded, part).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert np.array_equal(pixels(loaded, PLAIN), pixels(pipeline, PLAIN))
    assert np.array_equal(pixels(loaded), pixels(pipeline))


def test_single_file_without_config_offline_says_what_is_missing(single_file: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"architecture of .*checkpoint\.config.* cache"):
        load_pipeline(Checkpoint(str(single_file), device="cpu"))


@pytest.mark.parametrize("content", ["garbage", "other parameters"])
def test_single_file_of_something_else_is_named(tmp_path: Path, folder: Path, content) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(2)}, file)
    if content == "garbage":
        file.write_bytes(b"garbage" * 100)
    with pytest.raises(ValueError, match=r"other\.safetensors cannot be loaded as a Stable"):
        load_pipeline(Checkpoint(str(file), config=folder, device="cpu"))


def test_lora_changes_images_and_feedback_still_works(folder, lora, pipeline) -> None:
    loaded = load_pipeline(Checkpoint(str(folder), lora=lora, device="cpu"))
    before = dict(loaded.unet.attn_processors)
    plain, fed = pixels(loaded, PLAIN), pixels(loaded)
    assert np.abs(plain - pixels(pipeline, PLAIN)).mean() > 0.1
    assert np.abs(fed - plain).mean() > 0.1
    assert np.array_equal(pixels(loaded, PLAIN), plain)
    assert all(loaded.unet.attn_processors[name] is before[name] for name in before)


def test_lora_on_a_single_file(single_file, folder, lora) -> None:
    from_file = load_pipeline(Checkpoint(str(single_file), None, folder, lora, device="cpu"))
    from_folder = load_pipeline(Checkpoint(str(folder), lora=lora, device="cpu"))
    assert np.array_equal(pixels(from_file), pixels(from_folder))


@pytest.mark.parametrize("content", ["garbage", "no lora", "other networks", "other shapes"])
def test_lora_that_does_not_fit_is_named(tmp_path: Path, folder: Path, lora, content) -> None:
    file = tmp_path / "odd.safetensors"
    parameters = load_file(lora)
    if content == "no lora":
        parameters = {"x": torch.zeros(2)}
    if content == "other networks":
        parameters = {key.replace("unet.", "transformer."): v for key, v in parameters.items()}
    if content == "other shapes":
        parameters = {key: v.repeat(2, 2).contiguous() for key, v in parameters.items()}
    save_file(parameters, file)
    if content == "garbage":
        file.write_bytes(b"garbage" * 100)
    with pytest.raises(
        ValueError, match=r"lora .*odd\.safetensors (cannot be loaded|holds nothing)"
    ):
        load_pipeline(Checkpoint(str(folder), lora=file, device="cpu"))


@pytest.fixture(scope="module")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pipeline of SDXL's architecture in diffusers' format."""
    path = tmp_path_factory.mktemp("xl")
    tiny_xl_pipeline(path / "tokenizer").save_pretrained(path / "model")
    return path / "model"


def test_xl_is_loaded_and_its_references_act(xl_folder: Path) -> None:
    loaded = load_pipeline(Checkpoint(str(xl_folder), device="cpu"))
    assert type(loaded).__name__ == "StableDiffusionXLPipeline"
    assert not np.array_equal(pixels(loaded), pixels(loaded, PLAIN))
    weights = FabricSampler(loaded).environment["weights"]
    with torch.no_grad():
        next(loaded.text_encoder_2.parameters()).flatten()[0] += 1
    assert FabricSampler(loaded).environment["weights"] != weights


@pytest.mark.parametrize(("name", "xl"), [("model.diffusion_model.x", False), (XL_KEY, True)])
def test_single_file_of_xl_is_told_by_its_second_text_encoder(tmp_path, name, xl) -> None:
    save_file({name: torch.zeros(1)}, tmp_path / "model.safetensors")
    kind, _ = checkpoints._pipeline_of_file(tmp_path / "model.safetensors")
    assert (kind.__name__ == "StableDiffusionXLPipeline") is xl


def test_xl_asks_for_a_window_in_the_first_half(tmp_path, folder: Path, xl_folder: Path) -> None:
    assert hand_settings(Checkpoint(str(xl_folder))) == {"feedback_end": 0.5}
    save_file({XL_KEY: torch.zeros(1)}, tmp_path / "xl.safetensors")
    assert hand_settings(Checkpoint(str(tmp_path / "xl.safetensors"))) == {"feedback_end": 0.5}
    assert hand_settings(Checkpoint(str(folder))) == hand_settings(Checkpoint()) == {}


def test_of_a_hub_id_out_of_reach_nothing_is_known(monkeypatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(checkpoints, "_pipeline_of", unreachable)
    assert hand_settings(Checkpoint("owner/name")) == {}


def test_a_study_of_xl_begins_in_the_first_half(tmp_path, xl_folder: Path) -> None:
    def begun(**space: object) -> float:
        settings = {
            "name": "-".join(["s", *space]),
            "prompt": "a cat",
            "storage": tmp_path,
            "safety": False,
            "checkpoint": str(xl_folder),
            "pool": {"grow_liked": 1},
            "space": space,
        }
        with closing(create_study(settings, objective=redness)) as study:
            return study.space.hand.feedback_end

    assert begun() == 0.5
    assert begun(feedback_end=0.9) == 0.9
    assert begun(hand={"feedback_end": 0.7}) == 0.7
    assert begun(feedback_start=[0.6, 1.0], hand={"feedback_start": 0.6}) == 0.8


def test_networks_are_as_precise_as_was_asked_for(folder: Path) -> None:
    drawn = {}
    for precision in ("auto", "float32", "bfloat16"):
        loaded = load_pipeline(Checkpoint(str(folder), device="cpu", precision=precision))
        assert {loaded.unet.dtype, loaded.vae.dtype, loaded.text_encoder.dtype} == {
            torch.float32 if precision == "auto" else getattr(torch, precision)
        }
        assert not np.array_equal(pixels(loaded), pixels(loaded, PLAIN))
        drawn[precision] = pixels(loaded)
    assert np.array_equal(drawn["auto"], drawn["float32"])
    assert np.abs(drawn["bfloat16"] - drawn["float32"]).mean() < 4  # of 255


def test_clip_skip_leaves_out_layers_and_keeps_the_norm(folder: Path, xl_folder: Path) -> None:
    whole, cut = (load_pipeline(Checkpoint(str(folder), clip_skip=n, device="cpu")) for n in (0, 1))
    tokens = torch.arange(3, 19)[None]
    hidden = whole.text_encoder(tokens, output_hidden_states=True).hidden_states[-2]
    expected = whole.text_encoder.final_layer_norm(hidden)
    torch.testing.assert_close(cut.text_encoder(tokens)[0], expected)
    assert (
        len(
            load_pipeline(
                Checkpoint(str(xl_folder), clip_skip=1)
            ).text_encoder_2.text_model.encoder.layers
        )
        == 1
    )
    with pytest.raises(ValueError, match="clip_skip must be below 2, the layers of text_encoder"):
        load_pipeline(Checkpoint(str(folder), clip_skip=2, device="cpu"))


@pytest.mark.parametrize(
    "name", ["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "double_blocks.0.img"]
)
def test_single_files_of_transformers_are_refused(tmp_path, name) -> None:
    save_file({name: torch.zeros(1)}, tmp_path / "one.safetensors")
    with pytest.raises(ValueError, match="holds a transformer"):
        load_pipeline(Checkpoint(str(tmp_path / "one.safetensors"), device="cpu"))
