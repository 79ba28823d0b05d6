"""CLIP-IQA on small CLIP models with random parameters, against the softmax written out."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fabricbo import ObjectiveError
from fabricbo.testing import check_objective, pictures
from fabricbo.torchvision_compat import ensure_importable
from objectives.clip_iqa import SMALLEST, ClipIqa, load_rn50
from objectives.networks import Place, shared
from tests.scorer_checkpoints import SIDE, write_clip

ensure_importable()

import open_clip  # noqa: E402

PAIR = ("Good photo.", "Bad photo.")
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])
RESNET = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2},
}
HEADS = 4
"""Of the pooling: width times 32, 64 channels each."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def resnet(tmp_path: Path, monkeypatch):
    """A small ResNet of CLIP where the published one is looked for; positions count in it."""
    (tmp_path / "tiny-rn.json").write_text(json.dumps(RESNET))
    open_clip.add_model_config(tmp_path / "tiny-rn.json")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.create_model("tiny-rn")
    for name, parameter in model.visual.named_parameters():
        if "bn3" in name and name.endswith("weight"):
            parameter.data.fill_(0.5)  # initially 0, which leaves whole layers out
    asked: list[tuple[str, str]] = []

    def create_model(name: str, pretrained: str, **_options: object):
        asked.append((name, pretrained))
        return model

    monkeypatch.setattr(open_clip, "create_model", create_model)
    shared.cache_clear()
    yield model
    shared.cache_clear()
    assert asked == [("RN50-quickgelu", "openai")]


def normalised(image: Image.Image) -> Tensor:
    values = (np.asarray(image, dtype=np.float64) / 255 - MEAN) / STD
    return torch.tensor(values, dtype=torch.float32).permute(2, 0, 1)


def resized(image: Image.Image) -> Tensor:
    larger = image.resize((SIDE, int(SIDE * image.height / image.width)), Image.Resampling.BICUBIC)
    top = (larger.height - SIDE) // 2
    return normalised(larger.crop((0, top, SIDE, top + SIDE)))


def probability(images: Tensor, texts: Tensor) -> list[float]:
    """Of the first text, by the logistic function of the difference of the two."""
    unit = images / images.norm(dim=-1, keepdim=True)
    wanted, other = texts / texts.norm(dim=-1, keepdim=True)
    return (1 / (1 + torch.exp(-100 * (unit @ (wanted - other))))).tolist()


def expected(folder: Path, pair: tuple[str, str], images: list[Image.Image]) -> list[float]:
    from transformers import AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        pixels = torch.stack([resized(image) for image in images])
        seen = model.visual_projection(model.vision_model(pixels).pooler_output)
        read = [
            model.text_projection(model.text_model(**tokens(text, return_tensors="pt"))[1])[0]
            for text in pair
        ]
    return probability(seen, torch.stack(read))


def test_is_the_softmax_of_the_pair(folder: Path) -> None:
    found = ClipIqa(checkpoint=str(folder))(pictures(), "ignored")
    assert found == pytest.approx(expected(folder, PAIR, pictures()), abs=1e-4)
    assert np.ptp(found) > 1e-2


@pytest.mark.parametrize(
    ("options", "pair"),
    [
        ({"quality": "sharpness"}, ("Sharp photo.", "Blurry photo.")),
        ({"prompts": ["a cat", "a red dog on a field"]}, ("a cat", "a red dog on a field")),
    ],
    ids=["quality", "prompts"],
)
def test_other_pairs(folder: Path, options, pair: tuple[str, str]) -> None:
    found = ClipIqa(checkpoint=str(folder), **options)(pictures(), "")
    assert found == pytest.approx(expected(folder, pair, pictures()), abs=1e-4)


def test_turning_the_pair_round_turns_the_score_round(folder: Path) -> None:
    there = ClipIqa(checkpoint=str(folder), prompts=PAIR)(pictures(), "")
    back = ClipIqa(checkpoint=str(folder), prompts=PAIR[::-1])(pictures(), "")
    assert [a + b for a, b in zip(there, back, strict=True)] == pytest.approx([1.0] * 4)


def test_torchmetrics_alone_does_not_cope_with_transformers_5(folder: Path) -> None:
    """When this fails, torchmetrics copes, and the class that stands between them can go."""
    from torchmetrics.multimodal import CLIPImageQualityAssessment
    from transformers import CLIPModel, CLIPProcessor

    made = CLIPModel.from_pretrained(folder), CLIPProcessor.from_pretrained(folder)
    with pytest.raises(AttributeError, match="norm"):
        CLIPImageQualityAssessment(lambda: made)


# The paper's network


def pooled(model, image: Image.Image) -> Tensor:
    """CLIP's attention pooling without positions: what the mean asks of all places."""
    visual = model.visual
    with torch.no_grad():
        x = visual.stem(normalised(image)[None])
        for k in range(1, 5):
            x = getattr(visual, f"layer{k}")(x)
        places = x[0].flatten(1).T
        tokens = torch.cat([places.mean(0, keepdim=True), places])
        pool = visual.attnpool
        query, key, value = pool.q_proj(tokens[:1]), pool.k_proj(tokens), pool.v_proj(tokens)
        mixed = []
        for q, k, v in zip(
            *(part.chunk(HEADS, dim=-1) for part in (query, key, value)), strict=True
        ):
            mixed.append((q @ k.T / q.shape[-1] ** 0.5).softmax(-1) @ v)
        return pool.c_proj(torch.cat(mixed, dim=-1))[0]


def test_paper_network_sees_images_in_their_size_without_positions(resnet) -> None:
    shown = [pictures()[0], pictures()[1], pictures()[2].resize((90, 40))]
    found = ClipIqa()(shown, "")
    with torch.no_grad():
        texts = resnet.encode_text(open_clip.get_tokenizer("RN50")(list(PAIR)))
    seen = torch.stack([pooled(resnet, image) for image in shown])
    assert found == pytest.approx(probability(seen, texts), rel=1e-3)
    assert np.ptp(found) / np.mean(found) > 1e-2


def test_paper_network_keeps_the_contract(resnet) -> None:
    check_objective(ClipIqa())


def test_paper_network_needs_images_of_some_size(resnet) -> None:
    small = Image.linear_gradient("L").resize((SMALLEST, SMALLEST))
    assert 0 <= ClipIqa()([small], "")[0] <= 1
    with pytest.raises(ObjectiveError, match="at least 31 pixels a side"):
        ClipIqa()([small.resize((80, 30))], "")


def test_paper_network_in_half_precision_is_near(resnet) -> None:
    place = Place("cpu", dtype="bfloat16")
    network = load_rn50(place)
    pixels = network.prepare(pictures()[0])[None].to(torch.bfloat16)
    rough = network.module.encode_image(pixels).float()
    resnet.float()
    exact = pooled(resnet, pictures()[0])
    assert torch.cosine_similarity(rough[0], exact, dim=0) > 0.99


# Both


def test_keeps_the_contract(folder: Path) -> None:
    check_objective(ClipIqa(checkpoint=str(folder)))


def test_transparent_parts_are_white(folder: Path) -> None:
    clear, white = Image.new("RGBA", (40, 40), (9, 9, 9, 0)), Image.new("RGB", (40, 40), "white")
    first, second = ClipIqa(checkpoint=str(folder))([clear, white], "")
    assert first == pytest.approx(second, abs=1e-6)


def test_half_precision_is_near(folder: Path) -> None:
    exact = ClipIqa(checkpoint=str(folder))(pictures(), "")
    rough = ClipIqa(checkpoint=str(folder), dtype="bfloat16")(pictures(), "")
    assert rough == pytest.approx(exact, abs=0.15)  # cosines times 100


def test_network_is_loaded_once_and_shared_with_pickscore(folder: Path) -> None:
    from objectives.pickscore import PickScore

    first, second = ClipIqa(checkpoint=str(folder)), ClipIqa("natural", str(folder))
    first.load()
    second.load()
    assert first._clip().network is second._clip().network is PickScore(str(folder))._network()


@pytest.mark.parametrize("prompts", ["Good photo.", ["one"], ["a", "b", "c"], ["a", ""], [1, 2]])
def test_prompts_are_two_texts(prompts) -> None:
    with pytest.raises(ObjectiveError, match="prompts must be two texts"):
        ClipIqa(prompts=prompts)


def test_unknown_quality_device_and_precision(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match=r"quality: .*sharpness"):
        ClipIqa("nonsense", str(folder)).load()
    with pytest.raises(ObjectiveError, match="device must be auto or one of"):
        ClipIqa(device="tpu")
    with pytest.raises(ObjectiveError, match="dtype must be one of"):
        ClipIqa(dtype="int8")


@pytest.mark.parametrize("checkpoint", ["RN50", "openai/clip-vit-large-patch14"])
def test_missing_checkpoint_offline(checkpoint: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ObjectiveError, match=rf"{checkpoint}.*cannot be loaded.*connect once"):
        ClipIqa(checkpoint=checkpoint).load()


def test_missing_extra(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics.multimodal", None)
    with pytest.raises(ObjectiveError, match=r"pip install 'fabricbo\[metrics\]'"):
        ClipIqa(checkpoint=str(folder)).load()


@pytest.mark.hub
def test_real_network_prefers_a_sharp_picture() -> None:
    """No values are published for pictures that one could have; the order must be right."""
    from PIL import ImageFilter

    measure = ClipIqa("sharpness")
    try:
        measure.load()
    except ObjectiveError as error:
        pytest.skip(str(error))
    sharp = pictures()[1].resize((384, 512))
    first, second = measure([sharp, sharp.filter(ImageFilter.GaussianBlur(8))], "")
    assert first > second
