"""Stage 1: an autoencoder from 64 x 64 pictures to 8 x 8 latents of 16 channels."""

from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from experiments.demo_training.dataset import Pictures
from experiments.demo_training.loop import Progress, Recipe, train

LATENT_CHANNELS = 16
WIDTH = 48


def new_autoencoder(width: int = WIDTH) -> nn.Module:
    """Make diffusers' `AutoencoderTiny`; it has no normalisation layers, which learn badly here."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(width,) * 4,
        decoder_block_out_channels=(width,) * 4,
        num_encoder_blocks=(0, 1, 2, 2),
        num_decoder_blocks=(2, 2, 1, 0),
        latent_channels=LATENT_CHANNELS,
    ).to(memory_format=torch.channels_last)


def train_autoencoder(
    pictures: Pictures, folder: Path, minutes: float, batch: int = 32
) -> nn.Module:
    """Learn to reproduce pictures."""
    vae = new_autoencoder()

    def loss(generator: Generator) -> Tensor:
        _, images = pictures.random_batch(batch, generator)
        return reconstruction_loss(vae, images, generator)

    def show(average: nn.Module, _progress: Progress) -> None:
        print(f"autoencoder: PSNR {psnr(average, pictures):.2f} dB", flush=True)

    recipe = Recipe("autoencoder", minutes, learning_rate=1.5e-3, ema=0.995, weight_decay=0.0)
    return train(vae, loss, recipe, folder, show)


def reconstruction_loss(vae: nn.Module, images: Tensor, generator: Generator) -> Tensor:
    """L1, MSE and edges; a little noise on the latents and their norm keep them smooth."""
    with torch.autocast("cpu", torch.bfloat16):
        latents = vae.encode(images).latents
        noise = torch.randn(latents.shape, generator=generator)
        restored = vae.decode(latents + 0.05 * noise).sample.float()
    edges = sum(
        F.l1_loss(restored.diff(dim=d), images.diff(dim=d), reduction="mean") for d in (2, 3)
    )
    norm = latents.float().square().mean()
    return F.l1_loss(restored, images) + F.mse_loss(restored, images) + edges + 2e-3 * norm


@torch.no_grad()
def psnr(vae: nn.Module, pictures: Pictures, count: int = 128) -> float:
    """Peak signal-to-noise ratio in dB over the first pictures."""
    images = pictures.batch(torch.arange(min(count, len(pictures))))
    restored = vae.decode(vae.encode(images).latents).sample.clamp(-1, 1)
    return float(10 * torch.log10(4 / F.mse_loss(restored, images)))


@torch.no_grad()
def encode_all(vae: nn.Module, pictures: Pictures) -> Tensor:
    """Encode every picture; returns `n 16 8 8` latents of unit standard deviation times a factor.

    The factor is written into the autoencoder's configuration, where pipelines look for it.
    """
    chunks = torch.arange(len(pictures)).split(256)
    latents = torch.cat([vae.encode(pictures.batch(c)).latents.half() for c in chunks])
    scale = 1 / float(latents[:4096].float().std())
    vae.register_to_config(scaling_factor=scale)
    return latents.float() * scale
