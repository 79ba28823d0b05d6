"""The transformers in diffusers' own architectures, their pipelines and what they learn."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from experiments.demo_training.diffusion import TEXT_WIDTH, new_scheduler
from experiments.demo_training.loop import Recipe, noise_like, train
from experiments.transformer_training.captioned import Captioned

LATENT_CHANNELS = 32
HEADS, HEAD_CHANNELS, LAYERS = 4, 32, 6
Loss = Callable[[nn.Module, Tensor, tuple[Tensor, Tensor], Generator], Tensor]


def new_sd3() -> nn.Module:
    """Make a transformer of Stable Diffusion 3: text and image in one joint attention."""
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=1,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=LAYERS,
        attention_head_dim=HEAD_CHANNELS,
        num_attention_heads=HEADS,
        joint_attention_dim=TEXT_WIDTH,
        caption_projection_dim=HEADS * HEAD_CHANNELS,
        pooled_projection_dim=TEXT_WIDTH,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
    )


def new_pixart() -> nn.Module:
    """Make a transformer of PixArt: self-attention, then cross-attention to the text."""
    from diffusers import PixArtTransformer2DModel

    return PixArtTransformer2DModel(
        sample_size=8,
        patch_size=1,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=LAYERS,
        attention_head_dim=HEAD_CHANNELS,
        num_attention_heads=HEADS,
        cross_attention_dim=HEADS * HEAD_CHANNELS,
        caption_channels=TEXT_WIDTH,
    )


def _quiet_start(network: nn.Module) -> nn.Module:
    """Let blocks and output begin at zero, as in DiT (arXiv 2212.09748), for a faster start."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(("norm1.linear", "proj_out")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return network


def flow_loss(
    network: nn.Module, clean: Tensor, text: tuple[Tensor, Tensor], generator: Generator
) -> Tensor:
    """Rectified flow with logit-normal times (arXiv 2403.03206, section 3)."""
    sigma = torch.randn(len(clean), generator=generator).sigmoid()
    noise = noise_like(clean, generator)
    share = sigma[:, None, None, None]
    noisy = (1 - share) * clean + share * noise
    predicted = network(noisy, text[0], text[1], 1000 * sigma, return_dict=False)[0]
    return F.mse_loss(predicted, noise - clean)


def v_loss(
    network: nn.Module, clean: Tensor, text: tuple[Tensor, Tensor], generator: Generator
) -> Tensor:
    """Prediction of v with the noise schedule of the bundled checkpoint."""
    scheduler = new_scheduler()
    noise = noise_like(clean, generator)
    steps = torch.randint(len(scheduler.alphas_cumprod), (len(clean),), generator=generator)
    noisy = scheduler.add_noise(clean, noise, steps)
    added = {"resolution": None, "aspect_ratio": None}
    predicted = network(noisy, text[0], steps, added_cond_kwargs=added, return_dict=False)[0]
    return F.mse_loss(predicted, scheduler.get_velocity(clean, noise, steps))


NEW: Mapping[str, Callable[[], nn.Module]] = {"sd3": new_sd3, "pixart": new_pixart}
LOSSES: Mapping[str, Loss] = {"sd3": flow_loss, "pixart": v_loss}


def new_network(kind: str) -> nn.Module:
    """Make a transformer with seeded parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _quiet_start(NEW[kind]())


def train_network(
    kind: str, data: Captioned, folder: Path, minutes: float, batch: int = 32
) -> nn.Module:
    """Learn, or go on learning where the folder's last checkpoint was."""

    def loss(generator: Generator) -> Tensor:
        clean, text = data.batch(batch, generator)
        return LOSSES[kind](network, clean, text, generator)

    network = new_network(kind)
    return train(network, loss, Recipe(kind, minutes, learning_rate=1e-3, ema=0.995), folder)


def trained_network(kind: str, folder: Path) -> nn.Module:
    """Open the averaged parameters of the folder's last checkpoint, finished or not."""
    network = new_network(kind)
    state = torch.load(folder / f"{kind}.training.pt", map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    return network.eval()


def assemble(kind: str, network: nn.Module, vae: Any) -> Any:
    """Put transformer and autoencoder together as a pipeline that is given embeddings."""
    import diffusers

    if kind == "sd3":
        pipeline = diffusers.StableDiffusion3Pipeline(
            transformer=network,
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
            vae=vae,
            **dict.fromkeys(
                ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"), None
            ),
            text_encoder_3=None,
            tokenizer_3=None,
        )
    else:
        pipeline = diffusers.PixArtSigmaPipeline(
            transformer=network, scheduler=new_scheduler(), vae=vae, text_encoder=None, tokenizer=None
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
