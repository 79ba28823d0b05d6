"""Previews of images while they are drawn; the drawing goes on as without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fabricbo.compose import load_sampler
from fabricbo.sampler import (
    Checkpoint,
    FabricSampler,
    Preview,
    Previews,
    SamplerOptions,
    load_preview_decoder,
)
from fabricbo.sampler.preview_file import PreviewFile
from fabricbo.sampler.previews import _alpha, decoded, predicted_clean
from fabricbo.study.settings import check_settings
from tests.test_sampler import BLUE, RED, SCHEDULERS, action, pixels, use
from tests.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_pipeline(tmp_path_factory.mktemp("small"), vae="tiny").vae


@pytest.mark.parametrize("references", [((), ()), ((RED,), (BLUE,))], ids=["plain", "feedback"])
def test_images_are_the_same_and_each_pass_is_shown(
    pipeline: Any, decoder: Any, references: Any
) -> None:
    shown: list[Preview] = []
    what = action(*references)
    expected = FabricSampler(pipeline)(what, "a cat", [1, 2])
    found = FabricSampler(pipeline, previews=Previews(decoder, shown.append))(what, "a cat", [1, 2])
    assert np.array_equal(pixels(found), pixels(expected))
    assert [(one.step, one.steps) for one in shown] == [(step, 6) for step in range(1, 7)]
    assert all(len(one.images) == 2 for one in shown)
    assert not pipeline.unet._forward_hooks


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_is_shown_is_what_a_perfect_network_means(
    pipeline: Any, monkeypatch: Any, name: str, kind: str
) -> None:
    """Whatever the scheduler, a U-Net that knows the noise tells the clean latents at each step."""
    use(pipeline, name)
    scheduler = type(pipeline.scheduler).from_config(
        pipeline.scheduler.config, prediction_type=kind
    )
    scheduler.set_timesteps(6)
    g = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(2, 4, 8, 8, generator=g) for _ in range(2))
    for timestep in scheduler.timesteps[:: 3 if scheduler.order == 1 else 100]:
        if scheduler.order == 1:
            scheduler._step_index = None
        noised = scheduler.add_noise(clean, noise, timestep.reshape(1))
        sample = scheduler.scale_model_input(noised, timestep)
        alpha = _alpha(scheduler, float(timestep))
        perfect = {
            "epsilon": noise,
            "v_prediction": alpha**0.5 * noise - (1 - alpha) ** 0.5 * clean,
            "sample": clean,
        }
        found = predicted_clean(scheduler, sample, timestep, perfect[kind])
        assert float((found - clean).norm() / clean.norm()) < 0.02


def test_an_unknown_kind_of_prediction_is_refused(pipeline: Any) -> None:
    pipeline.scheduler = type(pipeline.scheduler)(prediction_type="flow_prediction")
    zeros = torch.zeros(1, 4, 8, 8)
    with pytest.raises(ValueError, match="got 'flow_prediction'"):
        predicted_clean(pipeline.scheduler, zeros, 5, zeros)


def test_the_last_preview_is_near_the_image_where_the_decoder_is_the_same(
    tmp_path: Path,
) -> None:
    pipeline = tiny_pipeline(tmp_path, vae="tiny")
    shown: list[Preview] = []
    sampler = FabricSampler(pipeline, previews=Previews(pipeline.vae, shown.append))
    final = pixels(sampler(action(), "a cat", [1]))
    distances = [np.abs(pixels(one.images) - final).mean() for one in shown]
    assert distances[-1] <= 1.5  # guidance included; the last step ends just before the image
    assert distances[-1] < distances[0]


def test_some_passes_only_and_batches_one_after_the_other(pipeline: Any, decoder: Any) -> None:
    shown: list[Preview] = []
    sampler = FabricSampler(
        pipeline,
        SamplerOptions(images_at_once=1),
        previews=Previews(decoder, shown.append, every=4),
    )
    sampler(action(), "a cat", [1, 2])
    assert [(one.step, len(one.images)) for one in shown] == [(1, 1), (5, 1)] * 2


def test_what_showing_raises_stops_the_drawing(pipeline: Any, decoder: Any) -> None:
    def show(_preview: Preview) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FabricSampler(pipeline, previews=Previews(decoder, show))(action(), "a cat", [1])
    assert not pipeline.unet._forward_hooks


def test_what_cannot_be_shown_is_refused_before_anything_is_drawn(
    pipeline: Any, decoder: Any
) -> None:
    other = type(decoder)(
        encoder_block_out_channels=(8,),
        decoder_block_out_channels=(8,),
        num_encoder_blocks=(1,),
        num_decoder_blocks=(1,),
        latent_channels=16,
    )
    with pytest.raises(ValueError, match="latents of 4 channels, as the checkpoint has, got one"):
        FabricSampler(pipeline, previews=Previews(other, print))
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        Previews(decoder, print, every=0)


def test_a_decoder_is_read_from_safetensors_only(
    tmp_path: Path, pipeline: Any, decoder: Any
) -> None:
    decoder.save_pretrained(tmp_path / "good")
    found = load_preview_decoder(str(tmp_path / "good"), pipeline)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(pixels(decoded(found, latents)), pixels(decoded(decoder, latents)))
    decoder.save_pretrained(tmp_path / "pickled", safe_serialization=False)
    pipeline.vae.save_pretrained(tmp_path / "full")
    for name, said in [
        ("pickled", "cannot be loaded"),
        ("full", "describes a network of class AutoencoderKL"),
    ]:
        with pytest.raises(ValueError, match=said):
            load_preview_decoder(str(tmp_path / name), pipeline)
    with pytest.raises(FileNotFoundError, match="preview decoder 'nobody/nothing' is not in"):
        load_preview_decoder("nobody/nothing", pipeline)


def test_a_file_shows_the_latest_and_is_always_whole(tmp_path: Path) -> None:
    file = tmp_path / "preview.png"
    show = PreviewFile(file, seconds=0)
    for color in ("red", "blue"):
        show(Preview(1, 2, (Image.new("RGB", (8, 8), color), Image.new("RGB", (8, 8)))))
        with Image.open(file) as found:
            assert found.size == (16, 8)
            assert found.getpixel((0, 0)) == Image.new("RGB", (1, 1), color).getpixel((0, 0))
    assert [one.name for one in tmp_path.iterdir()] == ["preview.png"]
    rarely = PreviewFile(file, seconds=1000)
    for color in ("green", "white"):
        rarely(Preview(1, 2, (Image.new("RGB", (8, 8), color),)))
    with Image.open(file) as found:
        assert found.getpixel((0, 0)) == (0, 128, 0)


def test_a_disk_that_refuses_does_not_stop_the_drawing(tmp_path: Path, caplog: Any) -> None:
    show = PreviewFile(tmp_path / "gone" / "preview.png", seconds=0)
    show(Preview(1, 2, (Image.new("RGB", (8, 8)),)))
    assert "no preview in" in caplog.text


def test_a_study_that_asks_for_them_has_a_file(tmp_path: Path) -> None:
    from fabricbo.sampler import load_pipeline

    vae = load_pipeline(Checkpoint("demo", device="cpu")).vae
    vae.save_pretrained(tmp_path / "decoder")
    given = {"name": "demo", "preview_decoder": str(tmp_path / "decoder")}
    settings = check_settings({"name": "a", "prompt": "a cat", "checkpoint": given})
    sampler = load_sampler(settings, Checkpoint("demo", device="cpu"), tmp_path)
    sampler(action((), (), denoising_steps=2), "a cat", [1, 2])
    with Image.open(tmp_path / "preview.jpg") as found:
        assert found.size == (128, 64)
    plain = load_sampler(settings, Checkpoint("demo", device="cpu"))  # a replay, for instance
    assert plain._sampler.previews is None
    assert (
        "preview_decoder"
        not in check_settings({"name": "a", "prompt": "a cat"}).checkpoint.model_dump()
    )
