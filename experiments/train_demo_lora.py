"""Train the LoRA of the bundled checkpoint for the experiments of the FABRIC paper.

    python -m experiments.train_demo_lora                 # about 8 minutes on one core
    python -m experiments.train_demo_lora --smoke         # seconds

The bundled checkpoint draws images, the bundled preference scorer says which of them are preferred,
and a LoRA learns the difference (see `experiments.paper.lora_training`). Both stages go on where
they were stopped. The file is in the format of the published LoRA of the Human Preference Score.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from experiments.demo_data import Attributes, every_combination, random_caption
from experiments.demo_training.loop import Recipe, train
from experiments.paper.lora_training import (
    Drawn,
    LoraLoss,
    add_adapter,
    choose,
    published_names,
)
from fabricbo import load_objective
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline
from fabricbo.sampler.references import encode

LORA_FILE = Path(__file__).parent / "paper" / "demo-hps-lora.safetensors"
PARAMS = FabricParams(guidance_scale=3.0, denoising_steps=20)
IMAGES = 8
"""A prompt."""
FIRST_SEED = 60_000_000
"""No other experiment draws from seeds this high."""


def prompts(count: int, seed: int) -> list[str]:
    """Return captions that leave out style and background half of the time each."""
    rng = random.Random(f"prompts of the demo LoRA {seed}")
    shown: list[Attributes] = rng.sample(every_combination(), count)
    captions = (random_caption(attributes, rng) for attributes in shown)
    return [caption or shown[i].caption() for i, caption in enumerate(captions)]


def draw(folder: Path, wanted: list[str]) -> Iterator[Drawn]:
    """Draw and score the images of each prompt once; those in the folder are read again."""
    sampler = FabricSampler(load_pipeline(Checkpoint("demo", device="cpu")))
    scorer = load_objective("pickscore", {"checkpoint": "demo", "device": "cpu"})
    for number, prompt in enumerate(wanted):
        file = folder / f"drawn-{number:04}.pt"
        if not file.exists():
            seeds = range(FIRST_SEED + number * IMAGES, FIRST_SEED + (number + 1) * IMAGES)
            images = sampler(Action(PARAMS), prompt, seeds)
            latents = torch.cat([encode(sampler.pipeline.vae, image) for image in images])
            part = file.with_suffix(".part")
            torch.save((prompt, latents, list(scorer(images, prompt))), part)
            part.replace(file)
        text, latents, scores = torch.load(file, weights_only=True)
        if text != prompt:
            raise SystemExit(f"{file} belongs to another seed or number of prompts; remove it")
        yield Drawn(text, latents, tuple(scores))


def learn(folder: Path, drawn: list[Drawn], options: argparse.Namespace) -> None:
    """Train and write the file."""
    from peft import get_peft_model_state_dict

    chosen, everything = choose(drawn)
    weird = sum(caption.startswith("Weird") for caption in chosen.captions)
    print(
        f"{len(chosen.captions) - weird} preferred, {weird} weird, {len(everything.captions)} all"
    )
    pipeline = load_pipeline(Checkpoint("demo", device="cpu"))
    pipeline.text_encoder.requires_grad_(False)
    add_adapter(pipeline.unet, options.rank, options.seed)
    loss = LoraLoss(pipeline, chosen, everything, batch=options.batch)
    recipe = Recipe("lora", options.minutes, options.learning_rate, seed=options.seed)
    train(loss.modules, loss, recipe, folder)
    parameters = published_names(get_peft_model_state_dict(pipeline.unet))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: values.half().contiguous() for name, values in parameters.items()}
    save_file(halves, options.output)
    print(f"{options.output}: {options.output.stat().st_size} bytes")


def main() -> None:
    """Parse the command line, draw, learn."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    if options.smoke:
        options.prompts, options.minutes, options.batch = 2, 0.02, 4
    options.folder.mkdir(parents=True, exist_ok=True)
    learn(
        options.folder, list(draw(options.folder, prompts(options.prompts, options.seed))), options
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".demo_training/lora"))
    parser.add_argument("--output", type=Path, default=LORA_FILE)
    parser.add_argument("--prompts", type=int, default=120)
    parser.add_argument("--minutes", type=float, default=4.0, help="of training")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="two prompts, a second of training")
    return parser


if __name__ == "__main__":
    main()
