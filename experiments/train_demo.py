"""Train the bundled checkpoint, its scorer and the judge.

    python -m experiments.train_demo                        # all stages, about 95 minutes
    python -m experiments.train_demo --stage diffusion --minutes 30

Stages: data, autoencoder, diffusion, scorer, judge, export. Each can be stopped at any moment
and goes on where its last checkpoint was, at most two minutes earlier; `--restart` begins a
stage anew. Logs go to the terminal, sample grids to the folder.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fabricbo._torchvision import ensure_importable

ensure_importable()

from experiments.demo_data import save_references  # noqa: E402
from experiments.demo_training import autoencoder, dataset, diffusion, judge, scorer  # noqa: E402
from experiments.demo_training.tokens import new_tokenizer  # noqa: E402

MINUTES = {"autoencoder": 11.0, "diffusion": 65.0, "scorer": 10.0, "judge": 4.0}
STAGES = ("data", *MINUTES, "export")
REPEATS = 20


def data(folder: Path, smoke: bool) -> None:
    """Draw the pictures."""
    dataset.build(folder, 1 if smoke else REPEATS, 0, "training")
    dataset.build(folder, 1, 1, "validation")


def train_autoencoder(folder: Path, minutes: float) -> None:
    """Train the autoencoder and encode all pictures."""
    pictures = dataset.load(folder, "training")
    vae = autoencoder.train_autoencoder(pictures, folder, minutes)
    latents = autoencoder.encode_all(vae, pictures)
    validation = dataset.load(folder, "validation")
    print(f"autoencoder: PSNR {autoencoder.psnr(vae, validation):.2f} dB on validation pictures")
    vae.save_pretrained(folder / "vae")
    torch.save(latents.half(), folder / "latents.pt")


def train_diffusion(folder: Path, minutes: float) -> None:
    """Train U-Net and text encoder."""
    tokenizer = new_tokenizer(folder / "tokenizer")
    latents = torch.load(folder / "latents.pt", weights_only=True).float()
    vae = load_vae(folder)
    attributes = dataset.load(folder, "training").attributes
    count = 0

    def show(average: Any, _progress: Any) -> None:
        nonlocal count
        count += 1
        if count % 4 == 1:
            save_pipeline(folder, vae, average, tokenizer)

    average = diffusion.train_diffusion(
        latents, attributes, tokenizer, folder, minutes, on_checkpoint=show
    )
    save_pipeline(folder, vae, average, tokenizer)


def save_pipeline(folder: Path, vae: Any, average: Any, tokenizer: Any) -> None:
    """Write the pipeline as it is, and a grid of what it draws."""
    pipeline = diffusion.assemble(vae, average, tokenizer)
    pipeline.save_pretrained(folder / "pipeline")
    with torch.no_grad():
        grid = diffusion.sample_grid(pipeline, diffusion.GRID_PROMPTS, columns=8)
    grid.save(folder / "samples.png")


def load_vae(folder: Path) -> Any:
    """Open the trained autoencoder."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny.from_pretrained(folder / "vae")


def train_scorer(folder: Path, minutes: float) -> None:
    """Train the scorer and say how good it is."""
    from safetensors.torch import save_file

    pictures, validation = dataset.load(folder, "training"), dataset.load(folder, "validation")
    average = scorer.train_scorer(pictures, folder, minutes).eval()
    tokenizer = new_tokenizer(folder / "tokenizer")
    quality = scorer.retrieval(average, validation, tokenizer)
    for attribute in ("style", "background"):
        quality[f"{attribute}_triplets"] = scorer.triplets(average, validation, attribute)
    print("scorer:", quality)
    save_file(
        {k: v.contiguous() for k, v in average.state_dict().items()}, folder / "scorer.safetensors"
    )


def train_judge(folder: Path, minutes: float) -> None:
    """Train the judge and say how good it is."""
    from safetensors.torch import save_file

    average = judge.train_judge(dataset.load(folder, "training"), folder, minutes)
    print("judge:", judge.accuracy(average, dataset.load(folder, "validation")))
    save_file(average.state_dict(), folder / "judge.safetensors")


def export(folder: Path, target: Path, judge_target: Path) -> None:
    """Write what is shipped, in half precision."""
    from diffusers import StableDiffusionPipeline
    from safetensors.torch import load_file, save_file

    save_references(folder, target)
    pipeline = StableDiffusionPipeline.from_pretrained(folder / "pipeline")
    pipeline.to(torch.float16).save_pretrained(target / "checkpoint", safe_serialization=True)
    tokenizer = new_tokenizer(folder / "tokenizer")
    model = scorer.new_scorer(scorer.model_config(len(tokenizer)))
    model.load_state_dict(load_file(folder / "scorer.safetensors"))
    scorer.export_scorer(model, target / "scorer")
    judge_target.mkdir(parents=True, exist_ok=True)
    parameters = load_file(folder / "judge.safetensors")
    save_file({k: v.half() for k, v in parameters.items()}, judge_target / "judge.safetensors")


def main() -> None:
    """Parse the command line and run the stages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", choices=STAGES, help="one stage instead of all")
    parser.add_argument("--minutes", type=float, help="training time of each stage that trains")
    parser.add_argument("--folder", type=Path, default=Path(".demo_training"))
    parser.add_argument("--export-to", type=Path, default=Path("fabricbo/demo"))
    parser.add_argument("--judge-to", type=Path, default=Path("tests/data/judge"))
    parser.add_argument("--threads", type=int, default=1, help="one is fastest on busy machines")
    parser.add_argument("--restart", action="store_true", help="forget earlier training")
    parser.add_argument("--smoke", action="store_true", help="few pictures, seconds of training")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if options.stage is None else (options.stage,):
        run_stage(stage, options)


def run_stage(stage: str, options: argparse.Namespace) -> None:
    """Run one stage."""
    if stage == "data":
        data(options.folder, options.smoke)
    elif stage == "export":
        export(options.folder, options.export_to, options.judge_to)
    else:
        if options.restart:
            (options.folder / f"{stage}.training.pt").unlink(missing_ok=True)
        minutes = 0.1 if options.smoke else options.minutes or MINUTES[stage]
        trainers: dict[str, Callable[[Path, float], None]] = {
            "autoencoder": train_autoencoder,
            "diffusion": train_diffusion,
            "scorer": train_scorer,
            "judge": train_judge,
        }
        trainers[stage](options.folder, minutes)


if __name__ == "__main__":
    main()
