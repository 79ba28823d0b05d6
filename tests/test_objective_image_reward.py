"""ImageReward on a small checkpoint in the published format, against BLIP written out in torch."""

import json
import math
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from fabricbo import ObjectiveError
from fabricbo.scoring import evaluate
from fabricbo.testing import check_objective, pictures
from objectives.image_reward import ImageReward

PROMPT = "a gold cat"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "gold", "cat", "dog", "red"]
WIDTH, TEXT_WIDTH, DEPTH, PATCH, SIDE = 128, 24, 2, 16, 32
SETTINGS = {
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": TEXT_WIDTH,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "model_type": "bert",
    "num_attention_heads": 3,
    "num_hidden_layers": DEPTH,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": len(WORDS) + 2,
    "encoder_width": 768,
    "add_cross_attention": True,
}


class Drawn(dict[str, Tensor]):
    """Random parameters by their published names."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def add(self, name: str, *shape: int, around: float = 0.0) -> None:
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
        drawn = torch.randn(shape, generator=self._generator) / fan_in**0.5
        self[name] = around + drawn

    def linear(self, name: str, into: int, out: int) -> None:
        self.add(f"{name}.weight", out, into)
        self.add(f"{name}.bias", out)

    def norm(self, name: str, width: int) -> None:
        self.add(f"{name}.weight", width, around=1.0)
        self.add(f"{name}.bias", width)


def published() -> Drawn:
    drawn = Drawn()
    seen = "blip.visual_encoder"
    drawn.add(f"{seen}.cls_token", 1, 1, WIDTH)
    drawn.add(f"{seen}.pos_embed", 1, (SIDE // PATCH) ** 2 + 1, WIDTH)
    drawn.add(f"{seen}.patch_embed.proj.weight", WIDTH, 3, PATCH, PATCH)
    drawn.add(f"{seen}.patch_embed.proj.bias", WIDTH)
    for k in range(DEPTH):
        block = f"{seen}.blocks.{k}"
        drawn.norm(f"{block}.norm1", WIDTH)
        drawn.linear(f"{block}.attn.qkv", WIDTH, 3 * WIDTH)
        drawn.linear(f"{block}.attn.proj", WIDTH, WIDTH)
        drawn.norm(f"{block}.norm2", WIDTH)
        drawn.linear(f"{block}.mlp.fc1", WIDTH, 2 * WIDTH)
        drawn.linear(f"{block}.mlp.fc2", 2 * WIDTH, WIDTH)
    drawn.norm(f"{seen}.norm", WIDTH)
    read = "blip.text_encoder"
    drawn[f"{read}.embeddings.position_ids"] = torch.arange(40)[None]
    drawn.add(f"{read}.embeddings.word_embeddings.weight", SETTINGS["vocab_size"], TEXT_WIDTH)
    drawn.add(f"{read}.embeddings.position_embeddings.weight", 40, TEXT_WIDTH)
    drawn.norm(f"{read}.embeddings.LayerNorm", TEXT_WIDTH)
    for k in range(DEPTH):
        layer = f"{read}.encoder.layer.{k}"
        for attention, width in (("attention", TEXT_WIDTH), ("crossattention", WIDTH)):
            drawn.linear(f"{layer}.{attention}.self.query", TEXT_WIDTH, TEXT_WIDTH)
            drawn.linear(f"{layer}.{attention}.self.key", width, TEXT_WIDTH)
            drawn.linear(f"{layer}.{attention}.self.value", width, TEXT_WIDTH)
            drawn.linear(f"{layer}.{attention}.output.dense", TEXT_WIDTH, TEXT_WIDTH)
            drawn.norm(f"{layer}.{attention}.output.LayerNorm", TEXT_WIDTH)
        drawn.linear(f"{layer}.intermediate.dense", TEXT_WIDTH, 40)
        drawn.linear(f"{layer}.output.dense", 40, TEXT_WIDTH)
        drawn.norm(f"{layer}.output.LayerNorm", TEXT_WIDTH)
    drawn.linear("blip.vision_proj", WIDTH, 8)
    drawn.linear("blip.text_proj", TEXT_WIDTH, 8)
    widths = (TEXT_WIDTH, 1024, 128, 64, 16, 1)
    for index, (into, out) in zip((0, 2, 4, 6, 7), pairwise(widths), strict=True):
        drawn.linear(f"mlp.layers.{index}", into, out)
    return drawn


class Blip:
    """The forward pass of the authors' network, read off their `vit.py` and `med.py`."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        self.p = parameters

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

    def norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        return scaled * self.p[f"{name}.weight"] + self.p[f"{name}.bias"]

    @staticmethod
    def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor) -> Tensor:
        """Attention of one sequence, `tokens x channels`, head by head."""
        done = []
        for q, k, v in zip(*(x.chunk(heads, dim=-1) for x in (query, key, value)), strict=True):
            logits = q @ k.T / q.shape[-1] ** 0.5 + torch.where(mask, 0.0, -1e4)
            done.append(logits.softmax(-1) @ v)
        return torch.cat(done, dim=-1)

    def see(self, pixels: Tensor) -> Tensor:
        name = "blip.visual_encoder"
        kernel = self.p[f"{name}.patch_embed.proj.weight"].flatten(1)
        rows = range(0, SIDE, PATCH)
        patches = [pixels[:, y : y + PATCH, x : x + PATCH].flatten() for y in rows for x in rows]
        x = torch.stack(patches) @ kernel.T + self.p[f"{name}.patch_embed.proj.bias"]
        x = torch.cat([self.p[f"{name}.cls_token"][0], x]) + self.p[f"{name}.pos_embed"][0]
        everything = torch.ones(len(x), dtype=torch.bool)
        for k in range(DEPTH):
            block = f"{name}.blocks.{k}"
            qkv = self.linear(f"{block}.attn.qkv", self.norm(f"{block}.norm1", x, 1e-6))
            mixed = self.attend(*qkv.chunk(3, dim=-1), WIDTH // 64, everything)
            x = x + self.linear(f"{block}.attn.proj", mixed)
            hidden = F.gelu(self.linear(f"{block}.mlp.fc1", self.norm(f"{block}.norm2", x, 1e-6)))
            x = x + self.linear(f"{block}.mlp.fc2", hidden)
        return self.norm(f"{name}.norm", x, 1e-6)

    def bert_attention(self, name: str, x: Tensor, of: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            self.linear(f"{name}.self.{part}", source)
            for part, source in (("query", x), ("key", of), ("value", of))
        )
        mixed = self.attend(q, k, v, SETTINGS["num_attention_heads"], mask)
        return self.norm(
            f"{name}.output.LayerNorm", self.linear(f"{name}.output.dense", mixed) + x, 1e-12
        )

    def read(self, ids: list[int], length: int, seen: Tensor) -> Tensor:
        name = "blip.text_encoder"
        mask = torch.arange(length) < len(ids)
        padded = torch.tensor(ids + [0] * (length - len(ids)))
        x = self.p[f"{name}.embeddings.word_embeddings.weight"][padded]
        x = x + self.p[f"{name}.embeddings.position_embeddings.weight"][:length]
        x = self.norm(f"{name}.embeddings.LayerNorm", x, 1e-12)
        for k in range(DEPTH):
            layer = f"{name}.encoder.layer.{k}"
            x = self.bert_attention(f"{layer}.attention", x, x, mask)
            everything = torch.ones(len(seen), dtype=torch.bool)
            x = self.bert_attention(f"{layer}.crossattention", x, seen, everything)
            hidden = F.gelu(self.linear(f"{layer}.intermediate.dense", x))
            hidden = self.linear(f"{layer}.output.dense", hidden)
            x = self.norm(f"{layer}.output.LayerNorm", hidden + x, 1e-12)
        return x

    def reward(self, pixels: Tensor, ids: list[int], length: int = 35) -> float:
        x = self.read(ids, length, self.see(pixels))[0]
        for index in (0, 2, 4, 6, 7):
            x = self.linear(f"mlp.layers.{index}", x)
        return float((x - 0.16717362830052426) / 1.0333394966054072)


def pixels(image: Image.Image) -> Tensor:
    """Shortest side to 32 by Pillow's bicubic, the middle of it, CLIP's mean and deviation."""
    width, height = image.size
    wide = image.resize((SIDE, int(SIDE * height / width)), Image.Resampling.BICUBIC)
    top = round((wide.height - SIDE) / 2)
    middle = np.asarray(wide.crop((0, top, SIDE, top + SIDE)), dtype=np.float64) / 255
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    return torch.tensor((middle - mean) / std, dtype=torch.float32).permute(2, 0, 1)


@pytest.fixture(scope="module")
def parameters() -> Drawn:
    return published()


def write(folder: Path, parameters: dict[str, Tensor], *, safe: bool) -> Path:
    folder.mkdir(exist_ok=True)
    if safe:
        save_file(
            {k: v.contiguous() for k, v in parameters.items()}, folder / "ImageReward.safetensors"
        )
    else:
        torch.save(dict(parameters), folder / "ImageReward.pt")
    (folder / "med_config.json").write_text(json.dumps(SETTINGS))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, parameters: Drawn) -> Path:
    return write(tmp_path_factory.mktemp("reward") / "safe", parameters, safe=True)


@pytest.fixture(scope="module")
def pickled(tmp_path_factory, parameters: Drawn) -> Path:
    return write(tmp_path_factory.mktemp("reward") / "pickled", parameters, safe=False)


def ids(text: str) -> list[int]:
    return [2, *(WORDS.index(word) for word in text.split()), 3]


@pytest.mark.parametrize("prompt", [PROMPT, "red dog", ""])
def test_is_what_blip_written_out_says(folder: Path, parameters: Drawn, prompt: str) -> None:
    blip = Blip(parameters)
    expected = [blip.reward(pixels(image), ids(prompt)) for image in pictures()]
    found = ImageReward(str(folder))(pictures(), prompt)
    assert found == pytest.approx(expected, abs=2e-5)
    assert np.ptp(found) > 1e-3


def test_depends_on_the_prompt_and_on_the_image(folder: Path) -> None:
    reward = ImageReward(str(folder))
    one, other = reward(pictures(), PROMPT), reward(pictures(), "red dog")
    assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 1e-3


def test_padding_does_not_matter(parameters: Drawn) -> None:
    blip, image = Blip(parameters), pixels(pictures()[0])
    assert blip.reward(image, ids(PROMPT), 5) == pytest.approx(
        blip.reward(image, ids(PROMPT), 35), abs=1e-5
    )


def test_long_prompts_are_cut_after_35_tokens(folder: Path, parameters: Drawn) -> None:
    words = " ".join(["cat"] * 33)
    reward = ImageReward(str(folder))
    whole = reward(pictures(), words)
    assert reward(pictures(), words + " dog dog") == whole
    assert reward(pictures(), words[4:]) != pytest.approx(whole, abs=1e-6)
    expected = Blip(parameters).reward(pixels(pictures()[0]), ids(words))
    assert whole[0] == pytest.approx(expected, abs=2e-5)


def test_case_does_not_matter(folder: Path) -> None:
    reward = ImageReward(str(folder))
    assert reward(pictures(), "A Gold CAT") == reward(pictures(), PROMPT)


def test_special_tokens_are_where_blip_has_them(folder: Path) -> None:
    tokens = ImageReward(str(folder))._network().prepare.tokens
    assert tokens.convert_tokens_to_ids(["[DEC]", "[ENC]"]) == [len(WORDS), len(WORDS) + 1]


def test_the_pickle_gives_the_same_as_safetensors(folder: Path, pickled: Path) -> None:
    safe = ImageReward(str(folder))(pictures(), PROMPT)
    assert ImageReward(str(pickled), allow_pickle=True)(pictures(), PROMPT) == safe


def test_keeps_the_contract(folder: Path) -> None:
    check_objective(ImageReward(str(folder)))


def test_transparent_parts_are_white(folder: Path) -> None:
    clear, white = Image.new("RGBA", (40, 40), (9, 9, 9, 0)), Image.new("RGB", (40, 40), "white")
    first, second = ImageReward(str(folder))([clear, white], PROMPT)
    assert first == pytest.approx(second, abs=1e-6)


def test_half_precision_is_near(folder: Path) -> None:
    exact = ImageReward(str(folder))(pictures(), PROMPT)
    rough = ImageReward(str(folder), dtype="bfloat16")(pictures(), PROMPT)
    assert rough == pytest.approx(exact, abs=0.05 * max(1, *map(abs, exact)))


def test_embeddings_are_the_class_tokens(folder: Path, parameters: Drawn) -> None:
    seen = torch.stack([Blip(parameters).see(pixels(image))[0] for image in pictures()])
    found = ImageReward(str(folder)).embed(pictures())
    assert torch.allclose(found, F.normalize(seen, dim=-1), atol=1e-5)


def test_loading_leaves_the_random_state(folder: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    ImageReward(str(folder), dtype="float16").load()
    assert torch.equal(torch.rand(3), expected)


def test_is_loaded_once(folder: Path) -> None:
    assert ImageReward(str(folder))._network() is ImageReward(str(folder))._network()


def test_pickles_need_permission(pickled: Path) -> None:
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        ImageReward(str(pickled))
    with pytest.raises(ObjectiveError, match="allow_pickle"):
        ImageReward()


def test_a_pickle_with_code_is_not_run(pickled: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    write(tmp_path / "evil", {}, safe=False)
    torch.save({"blip": Evil()}, tmp_path / "evil" / "ImageReward.pt")
    with pytest.raises(ObjectiveError, match="cannot be read"):
        ImageReward(str(tmp_path / "evil"), allow_pickle=True).load()
    assert not (tmp_path / "ran").exists()


def test_missing_checkpoint_offline(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ObjectiveError, match=r"THUDM/ImageReward.*cannot be loaded.*connect once"):
        ImageReward(allow_pickle=True).load()


def test_missing_tokenizer_offline(parameters: Drawn, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    where = write(tmp_path / "made", parameters, safe=True)
    (where / "vocab.txt").unlink()
    with pytest.raises(ObjectiveError, match=r"tokenizer 'bert-base-uncased' cannot be loaded"):
        ImageReward(str(where)).load()


def test_another_vocabulary_is_no_silent_nonsense(parameters: Drawn, tmp_path: Path) -> None:
    where = write(tmp_path / "made", parameters, safe=True)
    (where / "vocab.txt").write_text("\n".join([*WORDS, "more"]) + "\n")
    with pytest.raises(ObjectiveError, match="has 13 tokens with BLIP's two, the network 12"):
        ImageReward(str(where)).load()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.pop("blip.visual_encoder.pos_embed"), "no parameters of ImageReward"),
        (lambda p: p.pop("mlp.layers.7.bias"), "7.bias"),
        (lambda p: p.pop("blip.text_encoder.encoder.layer.1.output.dense.bias"), "layer.1.output"),
        (lambda p: p.update({"blip.visual_encoder.more": torch.ones(1)}), "more"),
    ],
    ids=["no vision", "no layer", "no bias", "unknown"],
)
def test_other_parameters_are_named(tmp_path: Path, spoil, message: str) -> None:
    spoilt = published()
    spoil(spoilt)
    with pytest.raises(ObjectiveError, match=message):
        ImageReward(str(write(tmp_path / "made", spoilt, safe=True))).load()


@pytest.mark.parametrize("name", ["med_config.json", "ImageReward.safetensors"])
def test_a_folder_that_lacks_a_file(parameters: Drawn, tmp_path: Path, name: str) -> None:
    where = write(tmp_path / "made", parameters, safe=True)
    (where / name).unlink()
    with pytest.raises(ObjectiveError, match=name):
        ImageReward(str(where)).load()


def test_parameters_that_are_no_numbers_give_no_score(tmp_path: Path) -> None:
    spoilt = published()
    spoilt["mlp.layers.7.bias"] = torch.full((1,), math.nan)
    reward = ImageReward(str(write(tmp_path / "made", spoilt, safe=True)))
    with pytest.raises(ObjectiveError, match="finite"):
        evaluate(reward, pictures(), PROMPT)


@pytest.mark.hub
def test_published_rewards() -> None:
    """The example of the authors' README: rewards 0.58, 0.27, -1.41 and -2.03."""
    where = os.environ.get("IMAGE_REWARD_PICTURES")
    if where is None:
        pytest.skip("IMAGE_REWARD_PICTURES must name assets/images of github.com/THUDM/ImageReward")
    reward = ImageReward(allow_pickle=True)
    try:
        reward.load()
    except ObjectiveError as error:
        pytest.skip(str(error))
    shown = [Image.open(Path(where) / f"{k}.webp") for k in range(1, 5)]
    prompt = "a painting of an ocean with clouds and birds, day time, low depth field effect"
    expected = [0.5811622738838196, 0.2745276093482971, -1.4131819009780884, -2.029569625854492]
    assert reward(shown, prompt) == pytest.approx(expected, abs=0.02)
