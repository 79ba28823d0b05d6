"""Distil a small decoder for previews from the bundled autoencoder, and measure what it costs.

    python -m experiments.distil_decoder --minutes 4 --to small_decoder
    python -m experiments.distil_decoder --smoke

The small one, diffusers' `AutoencoderTiny` with fewer blocks and channels, learns to do what the
full decoder does to latents that the bundled U-Net has drawn, and to mixtures of them; it needs no
pictures. Then both decode latents of other prompts, in turns: how far the small one is from the
full one in dB (PSNR), and processor milliseconds an image. Last, how far previews are from what
the image became, at some denoising steps, with either decoder.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from experiments.demo_data import every_combination, random_caption
from experiments.demo_training.autoencoder import difference
from experiments.demo_training.loop import Recipe, noise_like, train
from experiments.sampler_speed.cost import side_by_side
from fabricbo import Action, Checkpoint, FabricParams, FabricSampler, load_pipeline
from fabricbo.sampler import Preview, Previews
from fabricbo.sampler.previews import decoded

WIDTH = 24
STEPS = 10
BATCH = 16
HELD_OUT = 64


@dataclass(frozen=True)
class Found:
    """What was measured."""

    decibels: float
    """Of the small decoder's images, by those of the full one."""
    milliseconds: Mapping[str, float]
    """Of decoding an image, by decoder."""
    previews: Mapping[int, Mapping[str, float]]
    """Decibels of previews by the final image, by step and decoder."""


def draw_latents(pipeline: Any, prompts: Sequence[str], seed: int) -> Tensor:
    """Draw an image for each prompt, up to its latents."""
    parts = []
    for first in range(0, len(prompts), BATCH):
        several = list(prompts[first : first + BATCH])
        seeds = range(seed + first, seed + first + len(several))
        given = [Generator().manual_seed(one) for one in seeds]
        settings = {"guidance_scale": 3.0, "num_inference_steps": STEPS, "output_type": "latent"}
        parts.append(pipeline(several, generator=given, **settings).images)
    return torch.cat(parts)


def new_decoder(channels: int) -> Any:
    """Make the small decoder; its encoder is never used, and as small as can be."""
    from diffusers import AutoencoderTiny

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoencoderTiny(
            encoder_block_out_channels=(8,) * 4,
            decoder_block_out_channels=(WIDTH,) * 4,
            num_encoder_blocks=(0, 0, 0, 0),
            num_decoder_blocks=(2, 1, 1, 0),
            latent_channels=channels,
        )


def distil(full: Any, latents: Tensor, folder: Path, minutes: float) -> Any:
    """Learn what the full decoder does to latents of the U-Net's scale."""
    small = new_decoder(full.config.latent_channels)
    small.encoder.requires_grad_(False)

    def loss(generator: Generator) -> Tensor:
        one, other = (
            latents[torch.randint(len(latents), (BATCH,), generator=generator)] for _ in "12"
        )
        share = torch.rand(BATCH, 1, 1, 1, generator=generator).round(decimals=1) * 0.5
        mixed = torch.lerp(one, other, share)
        mixed = mixed + 0.1 * noise_like(mixed, generator)
        with torch.no_grad():
            wanted = full.decode(mixed / full.config.scaling_factor).sample
        return difference(small.decode(mixed).sample, wanted)

    recipe = Recipe("small decoder", minutes, learning_rate=2e-3, ema=0.99, weight_decay=0.0)
    return train(small, loss, recipe, folder)


def measure(pipeline: Any, small: Any, latents: Tensor, images: int) -> Found:
    """Compare the decoders on latents that the small one has not seen."""
    both = {"full": pipeline.vae, "small": small}
    with torch.no_grad():
        pixels = {
            name: one.decode(latents / one.config.scaling_factor).sample.clamp(-1, 1)
            for name, one in both.items()
        }
    batch = latents[:BATCH]
    seconds = side_by_side({name: partial(decoded, one, batch) for name, one in both.items()}, 7)
    return Found(
        float(10 * torch.log10(4 / F.mse_loss(pixels["small"], pixels["full"]))),
        {name: 1000 * found / len(batch) for name, found in seconds.items()},
        _previews(pipeline, both, images),
    )


def _previews(pipeline: Any, both: Mapping[str, Any], images: int) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    action = Action(FabricParams(guidance_scale=3.0, denoising_steps=STEPS))
    for name, decoder in both.items():
        shown: list[Preview] = []
        sampler = FabricSampler(pipeline, previews=Previews(decoder, shown.append))
        final = sampler(action, _prompts(images, 2), list(range(images)))
        for preview in shown[:: max(1, STEPS // 5)]:
            several = zip(preview.images, final, strict=True)
            found.setdefault(preview.step, {})[name] = mean(_decibels(a, b) for a, b in several)
    return found


def _decibels(one: Image.Image, other: Image.Image) -> float:
    error = np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2)
    return float(10 * np.log10(255**2 / max(float(error), 1e-3)))


def _prompts(count: int, seed: int) -> list[str]:
    rng = Random(seed)
    combinations = every_combination()
    return [random_caption(rng.choice(combinations), rng) for _ in range(count)]


def table(found: Found) -> list[str]:
    """Return tables in Markdown."""
    milliseconds = found.milliseconds
    lines = [
        f"small decoder: {found.decibels:.1f} dB by the full one; {milliseconds['small']:.2f} ms "
        f"an image, full {milliseconds['full']:.2f} ms",
        "",
        "| after step | full decoder | small decoder |",
        "|---|---|---|",
    ]
    for step, values in found.previews.items():
        lines.append(f"| {step} of {STEPS} | {values['full']:.1f} dB | {values['small']:.1f} dB |")
    return lines


def main() -> None:
    """Parse the command line, distil, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="of training")
    parser.add_argument("--latents", type=int, default=512, help="how many are learnt from")
    parser.add_argument("--to", type=Path, help="folder for the small decoder")
    parser.add_argument("--smoke", action="store_true", help="seconds, not minutes")
    options = parser.parse_args()
    held_out = HELD_OUT
    if options.smoke:
        options.minutes, options.latents, held_out = 0.02, 8, 4
    torch.set_num_threads(1)
    pipeline = load_pipeline(Checkpoint("demo", device="cpu"))
    latents = draw_latents(pipeline, _prompts(options.latents, 0), 0)
    others = draw_latents(pipeline, _prompts(held_out, 1), 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        small = distil(pipeline.vae, latents, Path(folder), options.minutes).eval()
    if options.to:
        small.save_pretrained(options.to)
    print("\n".join(table(measure(pipeline, small, others, min(held_out, 16)))))


if __name__ == "__main__":
    main()
