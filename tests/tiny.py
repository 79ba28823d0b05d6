"""A Stable Diffusion pipeline of a few channels, in the true architecture.

Torch is imported by what needs it: many processes that tests start want a reference only.
"""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from fabricbo.imagefiles import pixel_hash
from fabricbo.records import Reference, Role


def reference(color: str, size: tuple[int, int] = (32, 32), role: Role = Role.LIKED) -> Reference:
    """Make a one-coloured reference."""
    image = Image.new("RGB", size, color)
    return Reference(pixel_hash(image), color, image, role)


def tiny_pipeline(folder: Path, vae: str = "kl", **unet: Any) -> Any:
    """Build a pipeline with seeded random parameters; images are 32 x 32."""
    from fabricbo.torchvision_compat import ensure_importable

    ensure_importable()
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = StableDiffusionPipeline(
            vae=_vae(vae),
            text_encoder=text_encoder(),
            tokenizer=tokenizer(folder),
            unet=_unet(**unet),
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_xl_pipeline(folder: Path) -> Any:
    """Build one of SDXL's architecture: two text encoders, sizes as conditions; 32 x 32, too."""
    from fabricbo.torchvision_compat import ensure_importable

    ensure_importable()
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = StableDiffusionXLPipeline(
            vae=_vae("kl"),
            text_encoder=text_encoder(),
            text_encoder_2=text_encoder(projected=32),
            tokenizer=tokenizer(folder),
            tokenizer_2=tokenizer(folder),
            unet=_unet(
                cross_attention_dim=64,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                transformer_layers_per_block=(1, 2),
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + 32,
            ),
            scheduler=EulerDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
            ),
            add_watermarker=False,
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _unet(**changes: Any) -> Any:
    from diffusers import UNet2DConditionModel

    settings = {
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    return UNet2DConditionModel(**(settings | changes)).eval()


def _vae(kind: str) -> Any:
    from diffusers import AutoencoderKL, AutoencoderTiny

    if kind == "tiny":
        channels = (8, 8, 8)
        return AutoencoderTiny(
            encoder_block_out_channels=channels,
            decoder_block_out_channels=channels,
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
        ).eval()
    return AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=4,
    ).eval()


def text_encoder(projected: int | None = None) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=600,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        projection_dim=projected or 32,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{x}</w>" for x in letters)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16
    )
