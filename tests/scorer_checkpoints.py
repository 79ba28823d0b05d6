"""Small checkpoints of scorers with random parameters, in the formats of the published ones."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from fabricbo.demo import checkpoint_folder
from fabricbo.torchvision_compat import ensure_importable

ensure_importable()
SIDE = 32


def write_clip(folder: Path) -> Path:
    """Write a CLIP model as PickScore's repository has it."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    common = {**layers, "intermediate_size": 64, "projection_dim": 16}
    vision = {**common, "image_size": SIDE, "patch_size": 8}
    tokens = {"vocab_size": 445, "max_position_embeddings": 77, "eos_token_id": 444}
    config = CLIPConfig(text_config={**common, **tokens}, vision_config=vision, projection_dim=16)
    _seeded(lambda: CLIPModel(config)).save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    CLIPTokenizer.from_pretrained(
        checkpoint_folder() / "tokenizer", model_max_length=77
    ).save_pretrained(folder)
    return folder


def write_dinov2(folder: Path) -> Path:
    """Write a DINOv2 model as facebook/dinov2-base has it."""
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14
    )
    _seeded(lambda: Dinov2Model(config)).save_pretrained(folder)
    BitImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}
    ).save_pretrained(folder)
    return folder


def write_classifier(folder: Path, labels: tuple[str, ...] = ("normal", "nsfw")) -> Path:
    """Write an image classifier as Falconsai/nsfw_image_detection has it."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=SIDE,
        patch_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = _seeded(lambda: ViTForImageClassification(config))
    model.classifier.weight.data *= 20  # so that probabilities differ
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def open_clip_architecture(name: str, folder: Path) -> str:
    """Make a small architecture known to open_clip."""
    import json

    import open_clip

    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": SIDE,
            "layers": 2,
            "width": 32,
            "head_width": 8,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 32,
            "heads": 4,
            "layers": 2,
        },
    }
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{name}.json")
    return name


def write_hps(folder: Path, architecture: str) -> Path:
    """Write a model as xswu/HPSv2 has it: a pickle with the parameters under `state_dict`."""
    import open_clip

    model = _seeded(lambda: open_clip.create_model(architecture))
    torch.save({"epoch": 1, "state_dict": model.state_dict()}, folder / "HPS_v2.1_compressed.pt")
    return folder / "HPS_v2.1_compressed.pt"


def write_predictor(folder: Path, channels: int) -> Path:
    """Write linear layers as the aesthetic predictor's repository has them."""
    widths = (channels, 1024, 128, 64, 16, 1)
    made = [torch.nn.Linear(a, b) for a, b in pairwise(widths)]
    names = (0, 2, 4, 6, 7)
    state = {
        f"layers.{name}.{key}": value
        for name, layer in zip(names, made, strict=True)
        for key, value in layer.state_dict().items()
    }
    torch.save(state, folder / "predictor.pth")
    return folder / "predictor.pth"


def _seeded(make: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()
