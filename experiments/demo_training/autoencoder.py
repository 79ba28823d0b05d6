"""Stage 1: an autoencoder from 64 x 64 pictures to 8 x 8 latents of 32 channels.

The decoder is trained on, with the encoder as it is, while the U-Net learns the latents: that
costs the U-Net nothing, and is what makes pictures sharp.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from experiments.demo_training.dataset import Pictures
from experiments.demo_training.loop import Progress, Recipe, autocast, noise_like, train

LATENT_CHANNELS = 32


def new_autoencoder() -> Any:
    """Make diffusers' `AutoencoderTiny`; it has no normalisation layers, which learn badly here."""
    from diffusers import AutoencoderTiny

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = AutoencoderTiny(
            encoder_block_out_channels=(48,) * 4,
            decoder_block_out_channels=(64,) * 4,
            num_encoder_blocks=(0, 1, 2, 3),
            num_decoder_blocks=(5, 3, 1, 0),  # at 8, 16, 32 and 64 pixels
            latent_channels=LATENT_CHANNELS,
        )
    return vae.to(memory_format=torch.channels_last)


def train_autoencoder(pictures: Pictures, folder: Path, minutes: float, batch: int = 16) -> Any:
    """Learn to reproduce pictures."""
    vae = new_autoencoder().to(pictures.device)

    def loss(generator: Generator) -> Tensor:
        _, images = pictures.random_batch(batch, generator)
        with autocast(images):
            latents = vae.encode(images).latents
            restored = vae.decode(latents + 0.05 * noise_like(latents, generator)).sample
        norm = latents.float().square().mean()
        return difference(restored.float(), images) + 2e-3 * norm

    def show(average: nn.Module, _progress: Progress) -> None:
        print(f"autoencoder: PSNR {psnr(average, pictures):.2f} dB", flush=True)

    recipe = Recipe("autoencoder", minutes, learning_rate=1.5e-3, ema=0.998, weight_decay=0.0)
    return train(vae, loss, recipe, folder, show)


def train_decoder(
    trained: Any,
    latents: Tensor,
    pictures: Pictures,
    folder: Path,
    minutes: float,
    batch: int = 32,
) -> Any:
    """Go on learning the decoder, from latents; returns a whole autoencoder.

    Args:
        trained: the autoencoder that made the latents.
        latents: of all pictures, as `encode_all` returns them.
        pictures: what to restore.
        folder: where training state is kept.
        minutes: how long.
    """
    vae = copy.deepcopy(trained).to(pictures.device, memory_format=torch.channels_last)
    vae.encoder.requires_grad_(False)
    scale = vae.config.scaling_factor

    def loss(generator: Generator) -> Tensor:
        indices, images = pictures.random_batch(batch, generator)
        clean = latents[indices].to(images.device)
        # Drawn latents are less exact than encoded ones.
        level = 0.15 * torch.rand(len(indices), 1, 1, 1, generator=generator).to(images.device)
        noisy = (clean + level * noise_like(clean, generator)) / scale
        with autocast(images):
            restored = vae.decode(noisy.contiguous(memory_format=torch.channels_last)).sample
        return difference(restored.float(), images)

    def show(average: nn.Module, _progress: Progress) -> None:
        print(f"decoder: PSNR {psnr(average, pictures):.2f} dB", flush=True)

    recipe = Recipe("decoder", minutes, learning_rate=1e-3, ema=0.998, weight_decay=0.0)
    return train(vae, loss, recipe, folder, show)


def difference(restored: Tensor, images: Tensor) -> Tensor:
    """Return how far pictures are apart: L1, MSE, and L1 of their edges."""
    edges = sum(F.l1_loss(restored.diff(dim=d), images.diff(dim=d)) for d in (2, 3))
    return F.l1_loss(restored, images) + F.mse_loss(restored, images) + edges


@torch.no_grad()
def psnr(vae: Any, pictures: Pictures, count: int = 128) -> float:
    """Peak signal-to-noise ratio in dB over the first pictures."""
    images = pictures.batch(torch.arange(min(count, len(pictures))))
    restored = vae.decode(vae.encode(images).latents).sample.clamp(-1, 1)
    return float(10 * torch.log10(4 / F.mse_loss(restored, images)))


@torch.no_grad()
def encode_all(vae: Any, pictures: Pictures) -> Tensor:
    """Encode every picture; returns `n 32 8 8` latents of unit standard deviation times a factor.

    The factor is written into the autoencoder's configuration, where pipelines look for it.
    """
    chunks = torch.arange(len(pictures)).split(256)
    latents = torch.cat([vae.encode(pictures.batch(c)).latents.cpu().half() for c in chunks])
    scale = 1 / float(latents[:4096].float().std())
    vae.register_to_config(scaling_factor=scale)
    return latents.float() * scale
