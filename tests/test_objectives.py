"""The installed objectives, against independent computations."""

import json
import math
import shutil
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
from objectives.embedder import check_scorer, load_embedder
from objectives.networks import BATCH
from objectives.similarity import DiverseSimilarity, TargetSimilarity, TextSimilarity
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


def test_several_targets_give_the_mean_of_the_cosines(scorer: str, images, tmp_path: Path) -> None:
    for file in PICTURES[:3]:
        shutil.copy(file, tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    each = [reference_cosines(scorer, images, image) for image in images[:3]]
    found = TargetSimilarity(str(tmp_path), scorer)(images, "")
    assert found == pytest.approx(np.mean(each, axis=0), abs=1e-5)


def test_text_similarity_equals_open_clip_and_takes_the_prompt(scorer: str, images) -> None:
    expected = reference_cosines(scorer, images, "a gold cat")
    assert TextSimilarity("a gold cat", scorer)(images, "other") == pytest.approx(
        expected, abs=1e-5
    )
    assert TextSimilarity(scorer=scorer)(images, "a gold cat") == pytest.approx(expected, abs=1e-5)


def test_diverse_similarity_is_similarity_plus_weighted_diversity(scorer: str, images) -> None:
    target = str(PICTURES[0])
    cosines = [reference_cosines(scorer, images, image) for image in images]
    pairs = [cosines[i][j] for i in range(len(images)) for j in range(i)]
    expected = np.mean(cosines[0]) + 0.7 * (1 - np.mean(pairs))
    found = DiverseSimilarity(target, 0.7, scorer)(images, "")
    assert len(found) == len(images)
    assert np.mean(found) == pytest.approx(expected, abs=1e-5)


def test_diversity_of_equal_images_and_of_one_is_zero(scorer: str, images) -> None:
    measure = DiverseSimilarity(str(PICTURES[0]), 2.0, scorer)
    similarity = TargetSimilarity(str(PICTURES[0]), scorer)([images[1]], "")[0]
    assert measure([images[1]] * 3, "") == pytest.approx([similarity] * 3, abs=1e-5)
    assert measure([images[1]], "") == pytest.approx([similarity])


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf, "much", True])
def test_diversity_weight_is_checked(scorer: str, weight) -> None:
    with pytest.raises(ObjectiveError, match="diversity_weight must be"):
        DiverseSimilarity(str(PICTURES[0]), weight, scorer)


def test_order_and_batch_do_not_matter(scorer: str, images) -> None:
    measure = TextSimilarity("a cat", scorer)
    whole = measure(images, "")
    assert measure(images[::-1], "")[::-1] == pytest.approx(whole, abs=1e-6)
    assert [measure([image], "")[0] for image in images] == pytest.approx(whole, abs=1e-6)
    many = images * (BATCH // len(images) + 1)
    assert measure(many, "")[: len(images)] == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P"])
def test_modes_and_sizes(scorer: str, mode: str) -> None:
    image = Image.linear_gradient("L").resize((31, 77))
    shown = TextSimilarity("a cat", scorer)([image.convert(mode), image.convert("RGB")], "")
    assert shown[0] == pytest.approx(shown[1], abs=1e-6)


def test_transparent_images_are_on_white_as_targets_are(scorer: str, tmp_path: Path) -> None:
    clear, white = Image.new("RGBA", (20, 20), (0, 0, 0, 0)), Image.new("RGB", (20, 20), "white")
    clear.save(tmp_path / "clear.png")
    measure = TargetSimilarity(str(tmp_path / "clear.png"), scorer)
    assert measure([clear, white], "") == pytest.approx([1.0, 1.0], abs=1e-5)
    assert brightness([clear], "") == pytest.approx([1.0])


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
        ("vit-b-32/laion2b_s34b_b79k", "near it: ViT-B-32/laion2b_s34b_b79k"),
        ("Demo", "near it: demo"),
        ("nonsense", "must be `demo`"),
        ("", "must be a name or a folder"),
        (3, "must be a name or a folder"),
        ("local-dir:", "no folder"),
        ("local-dir:no/such/folder", "no folder 'no/such/folder'"),
        ("/no/such/folder", "no folder"),
        ("hf-hub:", "hf-hub:owner/name"),
        ("hf-hub:owner", "hf-hub:owner/name"),
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


def edit_json(file: Path, **changed: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


@pytest.fixture
def copied(scorer: str, tmp_path: Path) -> Path:
    """A scorer folder that a test may spoil."""
    return Path(shutil.copytree(scorer, tmp_path / "copied"))


def test_scorer_folder_without_vocabulary(copied: Path) -> None:
    """All texts would be the same to it, and the scores look like scores."""
    (copied / "tokenizer.json").unlink()
    with pytest.raises(ObjectiveError, match="no vocabulary"):
        TextSimilarity("a cat", str(copied))


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"model_cfg": {}}'])
def test_scorer_folder_whose_configuration_is_none(copied: Path, text: str) -> None:
    (copied / "open_clip_config.json").write_text(text)
    with pytest.raises(ObjectiveError, match="not one of open_clip"):
        TextSimilarity("a cat", str(copied))


def test_scorer_folder_whose_parameters_are_damaged(copied: Path) -> None:
    (copied / "open_clip_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ObjectiveError, match="cannot be loaded"):
        load_embedder(str(copied))


def test_code_in_a_scorer_folder_does_not_run(copied: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    config = json.loads((copied / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
    edit_json(copied / "open_clip_config.json", model_cfg=config)
    mapped = {"AutoTokenizer": ["mine.Mine", "mine.Mine"]}
    edit_json(copied / "tokenizer_config.json", tokenizer_class="Mine", auto_map=mapped)
    (copied / "mine.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        "from transformers import CLIPTokenizerFast\nclass Mine(CLIPTokenizerFast): pass\n"
    )
    with pytest.raises(ObjectiveError, match="custom code"):
        load_embedder(str(copied))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("scorer", ["ViT-B-32/laion2b_s34b_b79k", "hf-hub:owner/name"])
def test_scorer_that_cannot_be_fetched_offline(scorer: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ObjectiveError, match=r"cannot be loaded.*Without a network"):
        load_embedder(scorer)


@pytest.mark.parametrize("text", ["", "  ", 3])
def test_text_that_says_nothing(text) -> None:
    with pytest.raises(ObjectiveError, match="text must say something"):
        TextSimilarity(text)


@pytest.mark.parametrize("name", ["missing.png", "text.png"])
def test_target_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ObjectiveError, match=name):
        TargetSimilarity(str(tmp_path / name))


def test_target_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError, match="has no images"):
        TargetSimilarity(str(tmp_path))


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
