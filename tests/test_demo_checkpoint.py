"""The bundled checkpoint, its scorer and the judge; and the script that trains them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()

from experiments import train_demo  # noqa: E402
from experiments.demo_data import CONCEPTS, Attributes  # noqa: E402
from experiments.demo_training.export import load_judge  # noqa: E402
from experiments.demo_training.judge import name_attributes, shares  # noqa: E402
from experiments.demo_training.pixels import to_tensor  # noqa: E402
from experiments.demo_training.taste import taste  # noqa: E402
from fabricbo.demo import (  # noqa: E402
    checkpoint_folder,
    preference_scorer_folder,
    references,
    scorer_folder,
)
from fabricbo.records import Action, FabricParams, Reference  # noqa: E402
from tests.commands import script  # noqa: E402

ROOT = Path(__file__).parents[1]
JUDGE = ROOT / "tests" / "data" / "judge"
PROMPTS = [
    Attributes(*words.split("-"))
    for words in (
        *("cat-sketch-green", "bear-monochrome-orange", "fox-sticker-blue", "heart-gold-purple"),
        *("star-3d-red", "apple-sticker-pink", "donut-sketch-yellow", "mushroom-monochrome-gray"),
        *("frog-3d-pink", "car-sticker-yellow", "tulip-gold-blue", "penguin-sticker-red"),
        *("house-sketch-orange", "rabbit-3d-green", "banana-pixel-purple", "cactus-pixel-blue"),
    )
]


@pytest.fixture(scope="module")
def demo() -> Any:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint_folder())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def judge() -> torch.nn.Module:
    return load_judge(JUDGE)


def test_what_is_shipped_stays_below_25_megabytes() -> None:
    files = [f for f in checkpoint_folder().parent.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files if f.suffix != ".pyc") < 25e6


def test_nothing_shipped_is_a_pickle() -> None:
    suffixes = {f.suffix for f in checkpoint_folder().parent.rglob("*") if f.is_file()}
    assert suffixes <= {".safetensors", ".json", ".png", ".md", ".py", ".pyc"}


def test_the_stock_pipeline_loads_it_in_one_precision(demo: Any) -> None:
    parts = (demo.unet, demo.vae, demo.text_encoder)
    assert {p.dtype for part in parts for p in part.parameters()} == {torch.float32}
    assert demo.unet.config.sample_size * demo.vae_scale_factor == 64
    assert demo.scheduler.config.prediction_type == "v_prediction"


def test_every_word_of_a_caption_is_one_token(demo: Any) -> None:
    text = "an anchor on a purple background, monochrome style"
    tokens = demo.tokenizer.tokenize(text)
    assert [token.removesuffix("</w>") for token in tokens] == text.replace(",", " ,").split()


@pytest.mark.parametrize("prompt", ["a zebra", "", "ünïcode 日本", "a cat " * 40], ids=repr)
def test_any_prompt_draws(demo: Any, prompt: str) -> None:
    images = demo(prompt, num_inference_steps=2, guidance_scale=3.0).images
    assert images[0].size == (64, 64)


def test_prompts_are_obeyed_well_above_chance(demo: Any, judge: torch.nn.Module) -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(PROMPTS))]
    prompts = [attributes.caption() for attributes in PROMPTS]
    images = demo(prompts, num_inference_steps=20, guidance_scale=3.0, generator=generators).images
    right = shares(name_attributes(judge, to_tensor(images)), PROMPTS)
    assert min(right.values()) > 0.6, right


def test_liked_references_give_their_background(demo: Any, judge: torch.nn.Module) -> None:
    from fabricbo.sampler import FabricSampler

    liked = tuple(
        Reference(row.path.stem, row.path.stem, Image.open(row.path).convert("RGB"))
        for row in references()
        if row.background == "green"
    )
    params = FabricParams(feedback_end=1.0, max_weight=0.8, guidance_scale=3.0)
    images = FabricSampler(demo)(Action(params, liked=liked), "a cat", range(8))
    named = name_attributes(judge, to_tensor(images))
    assert sum(attributes.background == "green" for attributes in named) >= 5


def test_the_judge_names_the_bundled_pictures(judge: torch.nn.Module) -> None:
    rows = references()
    shown = [Attributes(row.concept, row.style, row.background) for row in rows]
    named = name_attributes(judge, to_tensor([Image.open(row.path) for row in rows]))
    assert min(shares(named, shown).values()) > 0.95


def test_open_clip_loads_the_scorer_and_it_finds_concepts_by_text() -> None:
    import open_clip

    name = f"local-dir:{scorer_folder()}"
    scorer, _, preprocess = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    rows = references()
    pixels = torch.stack([preprocess(Image.open(row.path).convert("RGB")) for row in rows])
    scorer.eval()
    with torch.no_grad():
        images = scorer.encode_image(pixels, normalize=True)
        texts = scorer.encode_text(tokenizer([f"a {c}" for c in CONCEPTS]), normalize=True)
    found = [CONCEPTS[i] for i in (images @ texts.T).argmax(1).tolist()]
    assert sum(f == row.concept for f, row in zip(found, rows, strict=True)) >= 0.8 * len(rows)


def test_transformers_loads_the_preference_scorer_and_it_has_learnt_the_taste() -> None:
    """The arithmetic is PickScore's: exp(logit_scale) times the cosine, image against prompt.

    As in the pairs that it learnt from, one picture shows what the prompt names.
    """
    from transformers import AutoModel, AutoProcessor

    folder = preference_scorer_folder()
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    rows = references()
    prompts = [f"a {row.concept}" for row in rows]
    images = processor(images=[Image.open(row.path) for row in rows], return_tensors="pt")
    texts = processor(text=prompts, padding="max_length", max_length=16, return_tensors="pt")
    with torch.no_grad():
        image = model.get_image_features(**images).pooler_output
        text = model.get_text_features(**texts).pooler_output
    unit = [torch.nn.functional.normalize(x, dim=-1) for x in (text, image)]
    scores = model.logit_scale.exp() * unit[0] @ unit[1].T
    shown = [Attributes(row.concept, row.style, row.background) for row in rows]
    tastes = torch.tensor([[taste(s, 1.0, row.concept) for s in shown] for row in rows])
    clear = (tastes.diagonal()[:, None] - tastes).abs() > 0.1
    agrees = (scores.diagonal()[:, None] > scores) == (tastes.diagonal()[:, None] > tastes)
    assert agrees[clear].float().mean() > 0.85


def test_disliked_references_push_their_style_away(demo: Any, judge: torch.nn.Module) -> None:
    """Prompts that name the object only; measured: 28 % stickers without references, then 3 %."""
    from fabricbo.sampler import FabricSampler

    concepts = ("dog", "tree", "car", "crown")
    stickers = [
        Reference(row.path.stem, row.path.stem, Image.open(row.path).convert("RGB"))
        for row in references()
        if row.style == "sticker" and row.concept not in concepts
    ]
    params = FabricParams(feedback_end=1.0, max_weight=0.8, neg_scale=1.0, guidance_scale=3.0)
    sampler, counts = FabricSampler(demo), []
    for disliked in ((), tuple(stickers[:3])):
        action = Action(params, (), disliked)
        images = [i for c in concepts for i in sampler(action, f"a {c}", range(8))]
        named = name_attributes(judge, to_tensor(images))
        counts.append(sum(attributes.style == "sticker" for attributes in named))
    assert counts[0] >= 5, counts
    assert counts[1] <= counts[0] / 2, counts


def test_training_runs_resumes_and_exports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = train_demo.Plan(
        folder=tmp_path,
        device="cpu",
        minutes=0.02,
        smoke=True,
        export_to=tmp_path / "export",
        judge_to=tmp_path / "judge",
    )
    for stage in train_demo.STAGES.values():
        stage(plan)
    train_demo.train_judge(plan)
    assert "resumed judge.training.pt" in capsys.readouterr().out
    assert (tmp_path / "export" / "checkpoint" / "model_index.json").is_file()
    assert (tmp_path / "export" / "scorer" / "open_clip_config.json").is_file()
    assert (tmp_path / "export" / "preference" / "config.json").is_file()
    load_judge(tmp_path / "judge")


def test_evaluation_prints_its_numbers(tmp_path: Path) -> None:
    arguments = ("--smoke", "--json", "--grids", tmp_path)
    done = script("experiments.evaluate_demo", *arguments, cwd=ROOT)
    result = json.loads(done.stdout)
    assert {
        *("images", "concept", "style", "background", "style_share_weight_0"),
        *("style_share_weight_08", "concept_weight_08", "judge_concept"),
    } <= set(result)
    assert {f.name for f in tmp_path.iterdir()} == {
        f"{name}.png" for name in ("front_page", "named", "weight_0", "weight_08", "disliked")
    }
