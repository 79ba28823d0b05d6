"""Pipelines of PixArt, Stable Diffusion 3 and FLUX of a few channels, in the true architectures.

Most have no text encoders: their tests give them embeddings.
"""

from pathlib import Path
from typing import Any

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()  # before diffusers

import diffusers  # noqa: E402
import torch  # noqa: E402

from tests.tiny import text_encoder, tokenizer  # noqa: E402


def tiny_pixart(kind: str = "sigma", sample_size: int = 8) -> Any:
    """Build one with seeded random parameters and learned variances; images are 32 x 32.

    Args:
        kind: `alpha` or `sigma`.
        sample_size: 128 makes alpha's transformer want the image's size and shape.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = diffusers.PixArtTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=4,
            out_channels=8,
            num_layers=3,
            cross_attention_dim=24,
            caption_channels=12,
            sample_size=sample_size,
        )
        of = {"vae": _vae(4), "text_encoder": None, "tokenizer": None, "transformer": transformer}
        scheduler = diffusers.DDIMScheduler(clip_sample=False)
        made = {"alpha": diffusers.PixArtAlphaPipeline, "sigma": diffusers.PixArtSigmaPipeline}
        pipeline = made[kind](**of, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    transformer.eval()
    return pipeline


def tiny_sd3(*, newer: bool = False, folder: Path | None = None) -> Any:
    """Build one with seeded random parameters; images are 32 x 32.

    Args:
        newer: as version 3.5 has them: normalised queries and keys, and a second attention of the
            image alone in the first block.
        folder: for the tokenizers' files; two text encoders come along, as without T5.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = diffusers.SD3Transformer2DModel(
            sample_size=8,
            patch_size=1,
            in_channels=4,
            out_channels=4,
            num_layers=3,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=12 if folder is None else 64,
            caption_projection_dim=16,
            pooled_projection_dim=10 if folder is None else 64,
            pos_embed_max_size=8,
            **({"qk_norm": "rms_norm", "dual_attention_layers": (0,)} if newer else {}),
        )
        pipeline = diffusers.StableDiffusion3Pipeline(
            transformer=transformer.eval(),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=_vae(4, shift_factor=0.06),
            **_texts(folder),
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_flux(*, told_guidance: bool = True, folder: Path | None = None) -> Any:
    """Build one with seeded random parameters; images are 32 x 32.

    Args:
        told_guidance: as FLUX.1 [dev], whose guidance is distilled; else as [schnell].
        folder: for the tokenizers' files; both text encoders come along, CLIP and T5.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = diffusers.FluxTransformer2DModel(
            in_channels=16,
            num_layers=2,
            num_single_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=12,
            pooled_projection_dim=10 if folder is None else 32,
            axes_dims_rope=(2, 2, 4),
            guidance_embeds=told_guidance,
        )
        pipeline = diffusers.FluxPipeline(
            transformer=transformer.eval(),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
            vae=_vae(4, shift_factor=0.06),
            **(_no_texts(2) if folder is None else _clip_and_t5(folder)),
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _texts(folder: Path | None) -> dict[str, Any]:
    if folder is None:
        return _no_texts(3)
    encoders = {f"text_encoder{n}": text_encoder(projected=32) for n in ("", "_2")}
    return _no_texts(3) | encoders | {f"tokenizer{n}": tokenizer(folder) for n in ("", "_2")}


def _clip_and_t5(folder: Path) -> dict[str, Any]:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=600, d_model=12, d_kv=6, d_ff=16, num_layers=1, num_heads=2)
    return {
        "text_encoder": text_encoder(),
        "text_encoder_2": T5EncoderModel(config).eval(),
        "tokenizer": tokenizer(folder),
        "tokenizer_2": tokenizer(folder),
    }


def _no_texts(count: int) -> dict[str, Any]:
    numbers = ("", "_2", "_3")[:count]
    parts = ("text_encoder", "tokenizer")
    return dict.fromkeys(f"{part}{number}" for part in parts for number in numbers)


def _vae(channels: int, **more: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=channels,
        norm_num_groups=4,
        **more,
    ).eval()
