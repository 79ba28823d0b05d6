"""What is shipped: pipeline and scorers in half precision, reference pictures, the judge."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from experiments.demo_data import Attributes, bundled_pictures, compose, draw_layers, source
from experiments.demo_training import diffusion, scorer, taste
from experiments.demo_training.judge import Judge
from experiments.demo_training.tokens import new_tokenizer


def export_all(folder: Path, target: Path, judge_target: Path) -> None:
    """Write pipeline, scorers and judge from the training folder to where they are shipped."""
    export_pipeline(folder, target / "checkpoint")
    tokenizer = new_tokenizer(folder / "tokenizer")
    model = scorer.new_scorer(scorer.model_config(len(tokenizer)))
    model.load_state_dict(load_file(folder / "scorer.safetensors"))
    scorer.export_scorer(model, target / "scorer")
    preferences = taste.new_preference_scorer(len(tokenizer), tokenizer)
    preferences.load_state_dict(load_file(folder / "preference.safetensors"))
    taste.export_preference_scorer(preferences, tokenizer, target / "preference")
    judge_target.mkdir(parents=True, exist_ok=True)
    parameters = load_file(folder / "judge.safetensors")
    halves = {k: v.half() for k, v in parameters.items()}
    save_file(halves, judge_target / "judge.safetensors")


def export_pipeline(folder: Path, target: Path) -> None:
    """Write the pipeline in half precision, with the final decoder and the averaged U-Net.

    The average is taken from the training state, so a snapshot can be exported while the
    training goes on.
    """
    from diffusers import AutoencoderTiny

    tokenizer = new_tokenizer(folder / "tokenizer")
    modules = diffusion.new_modules(tokenizer)
    state = torch.load(folder / "diffusion.training.pt", map_location="cpu", weights_only=True)
    modules.load_state_dict(state["average"])
    final = folder / "vae_final"
    vae = AutoencoderTiny.from_pretrained(final if final.exists() else folder / "vae")
    pipeline = diffusion.assemble(vae, modules, tokenizer)
    pipeline.to(torch.float16).save_pretrained(target, safe_serialization=True)
    _open_in_single_precision(target / "text_encoder" / "config.json")


def _open_in_single_precision(config: Path) -> None:
    """Have transformers open a network as diffusers opens the others when not told a precision.

    It would otherwise take that of the file, and half and single precision do not mix.
    """
    description = json.loads(config.read_text())
    config.write_text(json.dumps({**description, "dtype": "float32"}, indent=2) + "\n")


def load_judge(folder: Path) -> Judge:
    """Open the judge that `export_all` wrote."""
    judge = Judge()
    parameters: dict[str, Any] = load_file(folder / "judge.safetensors")
    judge.load_state_dict({k: v.float() for k, v in parameters.items()})
    return judge.eval()


def save_reference_pictures(folder: Path, target: Path) -> None:
    """Draw the pictures that are shipped, and write down what they show and where from."""
    layers = draw_layers(folder)
    rows = []
    for name, files in bundled_pictures().items():
        (target / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            shown = Attributes(*file.split("-"))
            layer = layers[shown.concept, shown.style]
            picture = compose(layer, shown, random.Random(0), jitter=False)
            picture.save(target / name / f"{file}.png")
            rows.append({"file": f"{name}/{file}.png", **asdict(shown), **source(shown.style)})
    (target / "references" / "references.json").write_text(json.dumps(rows, indent=1) + "\n")
