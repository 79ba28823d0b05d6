"""The installed objectives, against independent computations."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.demo_training.scorer import export_scorer, model_config, new_scorer
from fabricbo import ObjectiveError
from fabricbo.demo import references_folder
from fabricbo.torchvision_compat import ensure_importable
from objectives.colour import brightness, colourfulness
from objectives.embedder import BATCH, check_scorer, load_embedder
from objectives.similarity import TargetSimilarity, TextSimilarity
from tests.tiny import tiny_pipeline

ensure_importable()

import open_clip  # noqa: E402

PICTURES = sorted(references_folder().glob("*.png"))[:6]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small open_clip model with random parameters, in open_clip's local format."""
    from experiments.demo_training.tokens import new_tokenizer

    folder = tmp_path_factory.mktemp("scorer")
    vocabulary = len(new_tokenizer(folder / "tokens"))
    (folder / "made").mkdir()
    export_scorer(new_scorer(model_config(vocabulary)), folder / "made")
    return str(folder / "made")


@pytest.fixture
def images() -> list[Image.Image]:
    return [Image.open(file).convert("RGB") for file in PICTURES]


def reference_cosines(scorer: str, images, target) -> list[float]:
    """What open_clip itself says, image by image."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{scorer}")
    model.eval()
    if isinstance(target, str):
        tokens = open_clip.get_tokenizer(f"local-dir:{scorer}")([target])
        with torch.no_grad():
            wanted = model.encode_text(tokens)[0]
    else:
        with torch.no_grad():
            wanted = model.encode_image(preprocess(target)[None])[0]
    with torch.no_grad():
        found = [model.encode_image(preprocess(image)[None])[0] for image in images]
    return [float(torch.cosine_similarity(v, wanted, dim=0)) for v in found]


def test_target_similarity_equals_open_clip(scorer: str, images) -> None:
    measure = TargetSimilarity(str(PICTURES[0]), scorer)
    values = measure(images, "ignored")
    assert values == pytest.approx(reference_cosines(scorer, images, images[0]), abs=1e-5)
    assert values[0] == pytest.approx(1.0, abs=1e-5)
    assert max(values[1:]) < values[0]


def test_text_similarity_equals_open_clip_and_takes_the_prompt(scorer: str, images) -> None:
    expected = reference_cosines(scorer, images, "a gold cat")
    assert TextSimilarity("a gold cat", scorer)(images, "other") == pytest.approx(
        expected, abs=1e-5
    )
    assert TextSimilarity(scorer=scorer)(images, "a gold cat") == pytest.approx(expected, abs=1e-5)


def test_order_and_batch_do_not_matter(scorer: str, images) -> None:
    measure = TextSimilarity("a cat", scorer)
    whole = measure(images, "")
    assert measure(images[::-1], "")[::-1] == pytest.approx(whole, abs=1e-6)
    assert [measure([image], "")[0] for image in images] == pytest.approx(whole, abs=1e-6)
    many = images * (BATCH // len(images) + 1)
    assert measure(many, "")[: len(images)] == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P"])
def test_modes_and_sizes(scorer: str, mode: str) -> None:
    image = Image.new("RGB", (31, 77), "green").convert(mode)
    values = TextSimilarity("a cat", scorer)([image], "")
    assert math.isfinite(values[0])


def test_model_is_loaded_once(scorer: str) -> None:
    assert load_embedder(scorer) is load_embedder(scorer)


def test_demo_scorer_ranks_by_what_pictures_show(images) -> None:
    by_name = {file.stem: Image.open(file) for file in references_folder().glob("*.png")}
    measure = TextSimilarity("a cat")
    scores = dict(zip(by_name, measure(list(by_name.values()), ""), strict=True))
    cats = [value for name, value in scores.items() if name.startswith("cat")]
    others = [value for name, value in scores.items() if not name.startswith("cat")]
    assert min(cats) > max(others)


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ("ViT-B-32/laion2b_s34b_b79", "laion2b_s34b_b79k"),
        ("nonsense", "demo"),
        ("", "open_clip_config.json|scorer must be"),
    ],
)
def test_unknown_scorer(scorer: str, message: str) -> None:
    with pytest.raises(ObjectiveError, match=message):
        check_scorer(scorer)


def test_scorer_folder_without_safetensors(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(ObjectiveError, match=r"no open_clip_model\.safetensors"):
        TextSimilarity("a cat", str(tmp_path))


def test_scorer_that_cannot_be_fetched_offline() -> None:
    measure = TextSimilarity("a cat", "ViT-B-32/laion2b_s34b_b79k")
    with pytest.raises(ObjectiveError, match="cannot be loaded"):
        measure([Image.new("RGB", (8, 8))], "")


@pytest.mark.parametrize("name", ["missing.png", "text.png"])
def test_target_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ObjectiveError, match=name):
        TargetSimilarity(str(tmp_path / name))


def test_brightness_and_colourfulness() -> None:
    grey, black = Image.new("RGB", (5, 5), "#808080"), Image.new("L", (5, 5), 0)
    assert brightness([grey, black], "") == pytest.approx([128 / 255, 0.0])
    assert colourfulness([grey, black], "") == [0.0, 0.0]
    halves = Image.new("RGB", (2, 1))
    halves.putdata([(255, 0, 0), (0, 0, 255)])
    red_green, yellow_blue = np.array([255.0, 0.0]), np.array([127.5, -255.0])
    spread = math.hypot(red_green.std(), yellow_blue.std())
    mean = math.hypot(red_green.mean(), yellow_blue.mean())
    assert colourfulness([halves], "") == pytest.approx([spread + 0.3 * mean])


def test_colour_scores_what_a_pipeline_draws(tmp_path: Path) -> None:
    images = tiny_pipeline(tmp_path)(["a"], num_inference_steps=1).images
    assert len(colourfulness(images, "a")) == 1
