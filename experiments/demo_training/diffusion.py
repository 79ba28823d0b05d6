"""Stage 2: a text-conditional latent diffusion model, U-Net and text encoder learnt together."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from experiments.demo_data import Attributes, random_caption
from experiments.demo_training.autoencoder import LATENT_CHANNELS
from experiments.demo_training.loop import Recipe, autocast, noise_like, train
from experiments.demo_training.tokens import LENGTH

TEXT_WIDTH = 128
CHANNELS = (96, 176)


def new_unet(channels: tuple[int, ...] = CHANNELS) -> nn.Module:
    """Make a U-Net with self- and cross-attention at both levels."""
    from diffusers import UNet2DConditionModel

    levels = len(channels)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers' name for the number of heads
        norm_num_groups=16,
    ).to(memory_format=torch.channels_last)


def new_text_encoder(tokenizer: Any) -> nn.Module:
    """Make a CLIP text model of two layers."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def new_modules(tokenizer: Any) -> nn.ModuleDict:
    """Make what is learnt together: `unet` and `text_encoder`, with seeded parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.ModuleDict({"unet": new_unet(), "text_encoder": new_text_encoder(tokenizer)})


def new_scheduler() -> Any:
    """Make the scheduler of the pipeline, whose noise schedule training shares."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def train_diffusion(
    latents: Tensor,
    attributes: Sequence[Attributes],
    tokenizer: Any,
    folder: Path,
    minutes: float,
    batch: int = 64,
    on_checkpoint: Any = lambda *_: None,
) -> nn.Module:
    """Learn to predict v, on the device of the latents.

    Returns:
        A module with `unet` and `text_encoder`, averaged.
    """
    modules = new_modules(tokenizer).to(latents.device)
    scheduler = new_scheduler()

    @cache
    def tokens(caption: str) -> Tensor:
        padded = tokenizer(caption, padding="max_length", max_length=LENGTH, truncation=True)
        return torch.tensor(padded["input_ids"])

    def loss(generator: Generator) -> Tensor:
        indices = torch.randint(len(latents), (batch,), generator=generator)
        rng = random.Random(int(indices.sum()) * 1009 + int(indices[0]))
        captions = [random_caption(attributes[i], rng) for i in indices.tolist()]
        ids = torch.stack([tokens(caption) for caption in captions]).to(latents.device)
        return v_loss(modules, scheduler, latents[indices], ids, generator)

    recipe = Recipe("diffusion", minutes, learning_rate=8e-4, ema=0.999)
    return train(modules, loss, recipe, folder, on_checkpoint)


def v_loss(
    modules: nn.ModuleDict, scheduler: Any, clean: Tensor, ids: Tensor, generator: Generator
) -> Tensor:
    """Mean squared error of v at random timesteps (progressive distillation, eq. in appendix D)."""
    noise = noise_like(clean, generator)
    steps = torch.randint(len(scheduler.alphas_cumprod), (len(clean),), generator=generator)
    steps = steps.to(clean.device)
    noisy = scheduler.add_noise(clean, noise, steps).contiguous(memory_format=torch.channels_last)
    target = scheduler.get_velocity(clean, noise, steps)
    with autocast(clean):
        embeds = modules["text_encoder"](ids).last_hidden_state
        predicted = modules["unet"](noisy, steps, embeds, return_dict=False)[0]
    return F.mse_loss(predicted.float(), target)


def assemble(vae: nn.Module, modules: nn.Module, tokenizer: Any) -> Any:
    """Put the parts together as a pipeline."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=modules["text_encoder"],  # type: ignore[index]
        tokenizer=tokenizer,
        unet=modules["unet"],  # type: ignore[index]
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample_grid(pipeline: Any, prompts: Sequence[str], columns: int, steps: int = 20) -> Any:
    """Draw each prompt once and lay the pictures on a grid."""
    from diffusers.utils import make_image_grid

    generators = [Generator().manual_seed(seed) for seed in range(len(prompts))]
    images = pipeline(
        list(prompts), num_inference_steps=steps, guidance_scale=3.0, generator=generators
    ).images
    return make_image_grid(images, rows=len(prompts) // columns, cols=columns)


GRID_PROMPTS: tuple[str, ...] = (
    *("a cat", "a rocket", "a fish", "an apple", "a house", "a donut", "a guitar", "a frog"),
    *(
        f"a {c}, {s} style"
        for c, s in zip(
            ("cat", "penguin", "car", "star", "mushroom", "fox", "crown", "tulip"),
            ("3d", "sticker", "sketch", "pixel", "monochrome", "gold", "3d", "sketch"),
            strict=True,
        )
    ),
    *(
        f"a {c} on a {b} background"
        for c, b in zip(
            ("bear", "pizza", "heart", "cactus", "rabbit", "sailboat", "banana", "turtle"),
            ("red", "orange", "yellow", "green", "blue", "purple", "pink", "gray"),
            strict=True,
        )
    ),
    *(
        a.caption()
        for a in (
            Attributes("cat", "sketch", "green"),
            Attributes("dog", "gold", "blue"),
            Attributes("fox", "3d", "yellow"),
            Attributes("car", "pixel", "purple"),
            Attributes("rocket", "sticker", "pink"),
            Attributes("house", "monochrome", "orange"),
            Attributes("umbrella", "3d", "red"),
            Attributes("strawberry", "sketch", "gray"),
        )
    ),
)
