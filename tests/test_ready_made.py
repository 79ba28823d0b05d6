"""Ready-made objectives with networks: small checkpoints in the published formats."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fabricbo import ObjectiveError
from fabricbo.demo import scorer_folder
from fabricbo.testing import check_objective, pictures
from objectives import networks
from objectives.aesthetic import Aesthetic, load_predictor
from objectives.dinov2 import Dinov2Similarity
from objectives.embedder import load_embedder
from objectives.hps import HumanPreferenceScore
from objectives.networks import Place, in_batches, shared
from objectives.pickscore import PickScore, load_clip
from objectives.safety import Nsfw
from tests.scorer_checkpoints import (
    SIDE,
    open_clip_architecture,
    write_classifier,
    write_clip,
    write_dinov2,
    write_hps,
    write_predictor,
)

PROMPT = "a gold cat"
CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("checkpoints")
    write_clip(made / "clip")
    write_dinov2(made / "dinov2")
    write_classifier(made / "nsfw")
    open_clip_architecture("tiny-hps", made)
    write_hps(made, "tiny-hps")
    write_predictor(made, 96)
    pictures()[0].save(made / "target.png")
    return made


@pytest.fixture
def images() -> list[Image.Image]:
    return pictures()


def resized(image: Image.Image, shortest: int, resample: Image.Resampling) -> Image.Image:
    width, height = image.size
    if width < height:
        return image.resize((shortest, int(shortest * height / width)), resample)
    return image.resize((int(shortest * width / height), shortest), resample)


def cropped(image: Image.Image, side: int) -> Image.Image:
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def normalised(image: Image.Image, mean=CLIP_MEAN, std=CLIP_STD) -> torch.Tensor:
    values = (np.asarray(image, dtype=np.float64) / 255 - mean) / std
    return torch.tensor(values, dtype=torch.float32).permute(2, 0, 1)


def unit(vectors: torch.Tensor) -> torch.Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


# PickScore


def test_pickscore_is_the_scaled_cosine(folder: Path, images) -> None:
    from transformers import AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(folder / "clip").eval()
    pixels = torch.stack(
        [
            normalised(cropped(resized(image, SIDE, Image.Resampling.BICUBIC), SIDE))
            for image in images
        ]
    )
    tokens = AutoTokenizer.from_pretrained(folder / "clip")([PROMPT], return_tensors="pt")
    with torch.no_grad():
        vision = model.visual_projection(model.vision_model(pixels).pooler_output)
        text = model.text_projection(model.text_model(**tokens).pooler_output)
        expected = model.logit_scale.exp() * (unit(vision) @ unit(text)[0])
    found = PickScore(str(folder / "clip"))(images, PROMPT)
    assert found == pytest.approx(expected.tolist(), rel=1e-4)
    assert np.ptp(found) > 1e-3


def test_features_of_transformers_are_output_objects(folder: Path, images) -> None:
    """The obvious port of every published snippet divides this object by its norm."""
    network = load_clip(str(folder / "clip"), str(folder / "clip"), Place("cpu"))
    pixels = network.prepare.pixels(images, return_tensors="pt")
    found = network.module.get_image_features(**pixels)
    assert not isinstance(found, torch.Tensor)
    assert found.pooler_output.shape == (4, 16)


def test_pickscore_cuts_long_prompts(folder: Path, images) -> None:
    score = PickScore(str(folder / "clip"))
    words = "cat " * 200
    assert score(images, words) == pytest.approx(score(images, words + "dog " * 50))


def test_pickscore_of_the_bundled_scorer(images) -> None:
    check_objective(PickScore("demo"))


def test_published_processor_is_taken_for_a_hub_id_only(folder: Path) -> None:
    assert PickScore()._processor == "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
    assert PickScore(str(folder / "clip"))._processor == str(folder / "clip")


# HPS


def hps(folder: Path, **options) -> HumanPreferenceScore:
    checkpoint = str(folder / "HPS_v2.1_compressed.pt")
    return HumanPreferenceScore(
        "2.1", checkpoint, architecture="tiny-hps", **{"allow_pickle": True, **options}
    )


def test_hps_is_the_cosine(folder: Path, images) -> None:
    import open_clip

    model = open_clip.create_model("tiny-hps")
    state = torch.load(folder / "HPS_v2.1_compressed.pt", weights_only=True)["state_dict"]
    model.load_state_dict(state)
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
    pixels = []
    for image in images:  # tensors are resized, as in the authors' code
        tensor = torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1) / 255
        height, width = (int(SIDE * image.height / image.width), SIDE)
        larger = torch.nn.functional.interpolate(
            tensor[None], (height, width), mode="bicubic", antialias=True, align_corners=False
        )[0]
        top = round((height - SIDE) / 2)
        pixels.append((larger[:, top : top + SIDE] - mean) / std)
    with torch.no_grad():
        vision = unit(model.encode_image(torch.stack(pixels)))
        text = unit(model.encode_text(open_clip.get_tokenizer("tiny-hps")([PROMPT])))
    found = hps(folder)(images, PROMPT)
    assert found == pytest.approx((vision @ text[0]).tolist(), abs=1e-5)
    assert np.ptp(found) > 1e-3


def test_hps_needs_permission_for_pickles(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        hps(folder, allow_pickle=False)
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        HumanPreferenceScore()
    with pytest.raises(ObjectiveError, match="version must be one of"):
        HumanPreferenceScore("3.0", allow_pickle=True)


def test_a_pickle_with_code_is_not_run(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ObjectiveError, match="cannot be read"):
        HumanPreferenceScore("2.1", str(tmp_path / "evil.pt"), allow_pickle=True).load()
    assert not (tmp_path / "ran").exists()


# LAION aesthetic


def aesthetic(folder: Path, **options) -> Aesthetic:
    return Aesthetic(str(folder / "predictor.pth"), "demo", **{"allow_pickle": True, **options})


def test_aesthetic_is_the_linear_layers_of_the_unit_embedding(folder: Path, images) -> None:
    state = torch.load(folder / "predictor.pth", weights_only=True)
    values = load_embedder("demo").images(images)
    for name in (0, 2, 4, 6, 7):
        values = values @ state[f"layers.{name}.weight"].T + state[f"layers.{name}.bias"]
    assert aesthetic(folder)(images, "") == pytest.approx(values[:, 0].tolist(), abs=1e-5)


def test_aesthetic_says_when_the_scorer_does_not_fit(folder: Path, images, tmp_path) -> None:
    other = Aesthetic(str(write_predictor(tmp_path, 12)), "demo", allow_pickle=True)
    with pytest.raises(ObjectiveError, match=r"takes 12 channels, scorer demo has \d+"):
        other(images, "")


def test_aesthetic_needs_permission_for_pickles(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        aesthetic(folder, allow_pickle=False)
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        Aesthetic()


def test_another_file_than_the_published_one_is_not_read(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("objectives.aesthetic._fetched", lambda: folder / "predictor.pth")
    with pytest.raises(ObjectiveError, match="SHA-256"):
        load_predictor(None)


# DINOv2


def test_dinov2_is_the_cosine_of_class_tokens(folder: Path, images) -> None:
    from transformers import Dinov2Model

    model = Dinov2Model.from_pretrained(folder / "dinov2").eval()
    processor = json.loads((folder / "dinov2" / "preprocessor_config.json").read_text())
    mean, std = np.array(processor["image_mean"]), np.array(processor["image_std"])
    pixels = torch.stack(
        [
            normalised(cropped(resized(image, 32, Image.Resampling.BICUBIC), 28), mean, std)
            for image in images
        ]
    )
    with torch.no_grad():
        tokens = unit(model(pixel_values=pixels).last_hidden_state[:, 0])
    expected = (tokens @ tokens[0]).tolist()
    found = Dinov2Similarity(str(folder / "target.png"), str(folder / "dinov2"))(images, "")
    assert found == pytest.approx(expected, abs=1e-5)
    assert found[0] == pytest.approx(1, abs=1e-5)


# NSFW


def test_nsfw_is_the_probability_of_its_class(folder: Path, images) -> None:
    from transformers import ViTForImageClassification

    model = ViTForImageClassification.from_pretrained(folder / "nsfw").eval()
    half = np.full(3, 0.5)
    pixels = torch.stack(
        [
            normalised(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), half, half)
            for image in images
        ]
    )
    with torch.no_grad():
        odds = model(pixel_values=pixels).logits.exp()
    expected = (odds[:, 1] / odds.sum(dim=1)).tolist()
    assert Nsfw(str(folder / "nsfw"))(images, "") == pytest.approx(expected, abs=1e-5)
    assert Nsfw(str(folder / "nsfw"), "Normal")(images, "") == pytest.approx(
        [1 - value for value in expected], abs=1e-5
    )


def test_nsfw_names_the_classes_there_are(folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="no class 'gore'; there: normal, nsfw"):
        Nsfw(str(folder / "nsfw"), "gore").load()


# All of them

MADE = {
    "pickscore": lambda folder, **o: PickScore(str(folder / "clip"), **o),
    "hps": hps,
    "aesthetic": aesthetic,
    "dinov2": lambda folder, **o: Dinov2Similarity(
        str(folder / "target.png"), str(folder / "dinov2"), **o
    ),
    "nsfw": lambda folder, **o: Nsfw(str(folder / "nsfw"), **o),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_keeps_the_contract(make, folder: Path) -> None:
    check_objective(make(folder))


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_half_precision_is_near(make, folder: Path, images) -> None:
    exact, rough = make(folder)(images, PROMPT), make(folder, dtype="bfloat16")(images, PROMPT)
    assert rough == pytest.approx(exact, abs=0.05 * max(1, *map(abs, exact)))


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_no_such_device_or_precision(make, folder: Path) -> None:
    with pytest.raises(ObjectiveError, match="device must be auto or one of"):
        make(folder, device="tpu")
    with pytest.raises(ObjectiveError, match="dtype must be one of"):
        make(folder, dtype="int8")


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: PickScore(),
        lambda folder: HumanPreferenceScore(allow_pickle=True),
        lambda folder: Dinov2Similarity(str(folder / "target.png")),
        lambda folder: Nsfw(),
    ],
    ids=["pickscore", "hps", "dinov2", "nsfw"],
)
def test_missing_checkpoint_offline(make, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ObjectiveError, match=r"cannot be loaded.*cache.*connect once"):
        make(folder).load()


def test_a_network_is_loaded_once(folder: Path, monkeypatch) -> None:
    made = PickScore(str(folder / "clip"))
    made.load()
    again = PickScore(str(folder / "clip"))
    assert again._network() is made._network()
    assert PickScore(str(folder / "clip"), dtype="bfloat16")._network() is not made._network()


# Places and batches


class Counting(torch.nn.Linear):
    """Remembers where it was sent."""

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.sent: list[str] = []

    def to(self, device):
        self.sent.append(str(device))
        return self


def test_offloaded_networks_leave_the_device_also_after_an_error(monkeypatch) -> None:
    monkeypatch.setattr(networks, "_present_devices", lambda: ["cpu", "cuda"])
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    network = networks.Network(Counting(), None, Place(offload=True))
    with pytest.raises(KeyError), network.at_work():
        raise KeyError
    assert network.module.sent == ["cuda", "cpu"]
    staying = networks.Network(Counting(), None, Place())
    with staying.at_work():
        pass
    assert staying.module.sent == ["cuda"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("can't allocate memory"),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_a_smaller_batch_is_tried_once(error: Exception) -> None:
    sizes: list[int] = []

    def compute(some):
        sizes.append(len(some))
        if len(some) > 2:
            raise error
        return torch.tensor([[float(one)] for one in some])

    assert in_batches(compute, range(8), 8)[:, 0].tolist() == list(range(8))
    assert sizes == [8, 2, 2, 2, 2]
    with pytest.raises(ObjectiveError, match="out of memory, also with 4 images at once"):
        in_batches(compute, range(16), 16)


def test_other_errors_are_not_tried_again() -> None:
    def compute(some):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(compute, range(8), 8)


def test_missing_extra_is_named() -> None:
    with pytest.raises(ObjectiveError, match=r"pip install 'fabricbo\[metrics\]'"):
        networks.extra_module("no_such_module", "metrics")


def test_shared_loads_once() -> None:
    calls: list[str] = []

    def load(name: str):
        calls.append(name)
        return networks.Network(torch.nn.Identity(), None, Place("cpu"))

    assert shared(load, "a") is shared(load, "a")
    shared(load, "b")
    assert calls == ["a", "b"]


def test_scorer_folder_in_half_precision(images) -> None:
    exact = load_embedder(str(scorer_folder())).images(images)
    rough = load_embedder(str(scorer_folder()), Place(dtype="bfloat16")).images(images)
    assert torch.allclose(exact, rough, atol=0.05)


# The published checkpoints

PUBLISHED = {
    "pickscore": lambda target: PickScore(),
    "hps": lambda target: HumanPreferenceScore(allow_pickle=True),
    "aesthetic": lambda target: Aesthetic(allow_pickle=True),
    "dinov2": lambda target: Dinov2Similarity(target),
    "nsfw": lambda target: Nsfw(),
}


@pytest.mark.hub
@pytest.mark.parametrize("make", PUBLISHED.values(), ids=PUBLISHED)
def test_published_checkpoint_keeps_the_contract(make, folder: Path) -> None:
    made = make(str(folder / "target.png"))
    try:
        made.load()
    except ObjectiveError as error:
        pytest.skip(f"the checkpoint is not in the cache: {error}")
    check_objective(made)


@pytest.mark.hub
def test_published_pickscore_prefers_the_picture_of_the_prompt() -> None:
    score = PickScore()
    try:
        score.load()
    except ObjectiveError as error:
        pytest.skip(f"the checkpoint is not in the cache: {error}")
    red, blue = (Image.new("RGB", (224, 224), colour) for colour in ("red", "blue"))
    first, second = score([red, blue], "a plain red square")
    assert first > second
