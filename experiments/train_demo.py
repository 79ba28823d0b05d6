"""Train the bundled checkpoint, its scorer and the judge.

    python -m experiments.train_demo                        # all stages, about 3 hours
    python -m experiments.train_demo --stage diffusion --minutes 30
    python -m experiments.train_demo --smoke                # every stage for seconds, no network

Stages: data, autoencoder, diffusion, decoder, scorer, preference, judge, export. Each can be
stopped at any moment and goes on where its last checkpoint was, at most two minutes earlier;
`--no-resume` begins it anew. Logs go to the terminal, sample grids to the folder.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()

from experiments import demo_data  # noqa: E402
from experiments.demo_training import autoencoder, dataset, diffusion, judge, scorer, taste  # noqa: E402
from experiments.demo_training.export import export_all, save_reference_pictures  # noqa: E402
from experiments.demo_training.tokens import new_tokenizer  # noqa: E402

MINUTES: Mapping[str, float] = {
    "autoencoder": 19.0,
    "diffusion": 78.0,
    "decoder": 40.0,
    "scorer": 15.0,
    "preference": 18.0,
    "judge": 5.0,
}
SMOKE_MINUTES = 0.03
SMOKE_PICTURES = 96
SMOKE_BATCH = 8
HELD_OUT = len(demo_data.every_combination())
PICTURES = 16 * HELD_OUT


@dataclass(frozen=True)
class Plan:
    """What a call of this script is to do."""

    folder: Path
    """Where pictures and training state lie."""
    device: str
    minutes: float | None
    """Training time of each stage; None takes `MINUTES`."""
    smoke: bool
    export_to: Path
    judge_to: Path

    def minutes_of(self, stage: str) -> float:
        """Return how long a stage trains."""
        if self.minutes is not None:
            return self.minutes
        return SMOKE_MINUTES if self.smoke else MINUTES[stage]

    @property
    def sizes(self) -> Mapping[str, int]:
        """How much each stage sees at once, where that is not its own choice."""
        return {"batch": SMOKE_BATCH} if self.smoke else {}

    def pictures(self, name: str = "training") -> dataset.Pictures:
        """Open the drawn pictures."""
        return dataset.load(self.folder, name, self.device)


def draw_data(plan: Plan) -> None:
    """Draw the pictures."""
    if plan.smoke:
        demo_data.stand_in_icons(plan.folder)
    dataset.build(plan.folder, SMOKE_PICTURES if plan.smoke else PICTURES, 0, "training")
    dataset.build(plan.folder, SMOKE_PICTURES if plan.smoke else HELD_OUT, 1, "validation")


def train_autoencoder(plan: Plan) -> None:
    """Train the autoencoder and encode all pictures."""
    minutes = plan.minutes_of("autoencoder")
    vae = autoencoder.train_autoencoder(plan.pictures(), plan.folder, minutes, **plan.sizes)
    latents = autoencoder.encode_all(vae, plan.pictures())
    quality = autoencoder.psnr(vae, plan.pictures("validation"))
    print(f"autoencoder: PSNR {quality:.2f} dB on validation pictures", flush=True)
    vae.save_pretrained(plan.folder / "vae")
    torch.save(latents.half(), plan.folder / "latents.pt")


def train_decoder(plan: Plan) -> None:
    """Train the final decoder on the latents."""
    encoder, latents = load_vae(plan.folder), load_latents(plan.folder)
    minutes = plan.minutes_of("decoder")
    vae = autoencoder.train_decoder(
        encoder, latents, plan.pictures(), plan.folder, minutes, **plan.sizes
    )
    quality = autoencoder.psnr(vae, plan.pictures("validation"))
    print(f"decoder: PSNR {quality:.2f} dB on validation pictures", flush=True)
    vae.save_pretrained(plan.folder / "vae_final")


def train_diffusion(plan: Plan) -> None:
    """Train U-Net and text encoder."""
    tokenizer = new_tokenizer(plan.folder / "tokenizer")
    latents, attributes = load_latents(plan.folder).to(plan.device), plan.pictures().attributes
    vae = load_vae(plan.folder).to(plan.device)

    def show(average: Any, progress: Any) -> None:
        pipeline = diffusion.assemble(vae, average, tokenizer)
        save_pipeline(plan, pipeline, f"samples_{progress.seconds / 60:03.0f}.png")

    minutes = plan.minutes_of("diffusion")
    average = diffusion.train_diffusion(
        latents, attributes, tokenizer, plan.folder, minutes, on_checkpoint=show, **plan.sizes
    )
    save_pipeline(plan, diffusion.assemble(vae, average, tokenizer), "samples.png")


def save_pipeline(plan: Plan, pipeline: Any, grid: str) -> None:
    """Write the pipeline as it is, and a grid of what it draws."""
    pipeline.save_pretrained(plan.folder / "pipeline")
    prompts = diffusion.GRID_PROMPTS[:8] if plan.smoke else diffusion.GRID_PROMPTS
    steps = 2 if plan.smoke else 20
    diffusion.sample_grid(pipeline, prompts, 8, steps).save(plan.folder / grid)


def load_vae(folder: Path) -> Any:
    """Open the autoencoder whose latents the U-Net learns."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny.from_pretrained(folder / "vae")


def load_latents(folder: Path) -> torch.Tensor:
    """Open the latents of the training pictures."""
    latents: torch.Tensor = torch.load(folder / "latents.pt", weights_only=True)
    return latents.float()


def train_scorer(plan: Plan) -> None:
    """Train the scorer and say how good it is."""
    minutes = plan.minutes_of("scorer")
    average = scorer.train_scorer(plan.pictures(), plan.folder, minutes, **plan.sizes)
    average.cpu().eval()
    scorer.save_parameters(average, plan.folder / "scorer.safetensors")
    validation = dataset.load(plan.folder, "validation")
    tokenizer = new_tokenizer(plan.folder / "tokenizer")
    print("scorer:", scorer.quality(average, validation, tokenizer), flush=True)


def train_preference(plan: Plan) -> None:
    """Train the preference scorer and say how good it is."""
    minutes = plan.minutes_of("preference")
    average = taste.train_preference_scorer(plan.pictures(), plan.folder, minutes, **plan.sizes)
    average.cpu().eval()
    scorer.save_parameters(average, plan.folder / "preference.safetensors")
    validation = dataset.load(plan.folder, "validation")
    tokenizer = new_tokenizer(plan.folder / "tokenizer")
    print(f"preference: {taste.agreement(average, validation, tokenizer):.3f} of pairs", flush=True)


def train_judge(plan: Plan) -> None:
    """Train the judge and say how good it is."""
    minutes = plan.minutes_of("judge")
    average = judge.train_judge(plan.pictures(), plan.folder, minutes, **plan.sizes)
    scorer.save_parameters(average.cpu(), plan.folder / "judge.safetensors")
    validation = dataset.load(plan.folder, "validation")
    print("judge:", judge.accuracy(average, validation), flush=True)


def export(plan: Plan) -> None:
    """Write what is shipped: references, pipeline, scorers, judge."""
    save_reference_pictures(plan.folder, plan.export_to)
    export_all(plan.folder, plan.export_to, plan.judge_to)


STAGES: Mapping[str, Callable[[Plan], None]] = {
    "data": draw_data,
    "autoencoder": train_autoencoder,
    "diffusion": train_diffusion,
    "decoder": train_decoder,
    "scorer": train_scorer,
    "preference": train_preference,
    "judge": train_judge,
    "export": export,
}


def main() -> None:
    """Parse the command line and run the stages."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    plan = _plan(options)
    plan.folder.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if options.stage is None else (options.stage,):
        if not options.resume:
            (plan.folder / f"{stage}.training.pt").unlink(missing_ok=True)
        STAGES[stage](plan)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", choices=tuple(STAGES), help="one stage instead of all")
    parser.add_argument("--minutes", type=float, help="training time of each stage that trains")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--folder", type=Path, help="default: .demo_training")
    parser.add_argument("--export-to", type=Path, help="default: fabricbo/demo")
    parser.add_argument("--judge-to", type=Path, help="default: tests/data/judge")
    parser.add_argument("--threads", type=int, default=1, help="one is fastest on busy machines")
    parser.add_argument("--smoke", action="store_true", help="few pictures, seconds of training")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    """Fill in defaults; a smoke run writes nothing outside its own folder."""
    folder = options.folder or Path(".demo_training/smoke" if options.smoke else ".demo_training")
    export_to = folder / "export" if options.smoke else Path("fabricbo/demo")
    judge_to = folder / "judge" if options.smoke else Path("tests/data/judge")
    return Plan(
        folder=folder,
        device=options.device,
        minutes=options.minutes,
        smoke=options.smoke,
        export_to=options.export_to or export_to,
        judge_to=options.judge_to or judge_to,
    )


if __name__ == "__main__":
    main()
