"""The transformers in diffusers' own architectures, their pipelines and what they learn."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from experiments.demo_training.diffusion import new_scheduler
from experiments.demo_training.loop import Recipe, noise_like, train
from experiments.transformer_training.shapes import SIZE, TEXT_CHANNELS, batch
from fabricbo.sampler.flux import coordinates, packed

HEADS, HEAD_CHANNELS, LAYERS = 4, 16, 4
ROWS = 16
_COMMON: Mapping[str, Any] = {
    "sample_size": SIZE,
    "patch_size": 2,
    "in_channels": 3,
    "out_channels": 3,
    "num_layers": LAYERS,
    "attention_head_dim": HEAD_CHANNELS,
    "num_attention_heads": HEADS,
}
Loss = Callable[[nn.Module, Tensor, tuple[Tensor, Tensor], Generator], Tensor]


def new_sd3() -> nn.Module:
    """Make a transformer of Stable Diffusion 3: text and image in one joint attention."""
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        **_COMMON,
        joint_attention_dim=TEXT_CHANNELS,
        caption_projection_dim=HEADS * HEAD_CHANNELS,
        pooled_projection_dim=TEXT_CHANNELS,
        pos_embed_max_size=SIZE // 2,
        qk_norm="rms_norm",
    )


def new_pixart() -> nn.Module:
    """Make a transformer of PixArt: self-attention, then cross-attention to the text."""
    from diffusers import PixArtTransformer2DModel

    return PixArtTransformer2DModel(
        **_COMMON,
        cross_attention_dim=HEADS * HEAD_CHANNELS,
        caption_channels=TEXT_CHANNELS,
    )


def new_flux() -> nn.Module:
    """Make a transformer of FLUX.1: two blocks of joint attention, four of a single sequence."""
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=4 * 3,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=HEAD_CHANNELS,
        num_attention_heads=HEADS,
        joint_attention_dim=TEXT_CHANNELS,
        pooled_projection_dim=TEXT_CHANNELS,
        axes_dims_rope=(4, 6, 6),
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


def packed_flow_loss(
    network: nn.Module, clean: Tensor, text: tuple[Tensor, Tensor], generator: Generator
) -> Tensor:
    """Do the same where a token is 2 x 2 pixels with coordinates (FLUX)."""
    sigma = torch.randn(len(clean), generator=generator).sigmoid()
    noise = noise_like(clean, generator)
    noisy = torch.lerp(clean, noise, sigma[:, None, None, None])
    predicted = network(
        packed(noisy),
        encoder_hidden_states=text[0],
        pooled_projections=text[1],
        timestep=sigma,
        img_ids=coordinates(SIZE, SIZE),
        txt_ids=torch.zeros(text[0].shape[1], 3),
        return_dict=False,
    )[0]
    return F.mse_loss(predicted, packed(noise - clean))


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


NEW: Mapping[str, Callable[[], nn.Module]] = {
    "sd3": new_sd3,
    "pixart": new_pixart,
    "flux": new_flux,
}
LOSSES: Mapping[str, Loss] = {"sd3": flow_loss, "pixart": v_loss, "flux": packed_flow_loss}


def new_network(kind: str) -> nn.Module:
    """Make a transformer with seeded parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _quiet_start(NEW[kind]())


def train_network(kind: str, folder: Path, minutes: float) -> nn.Module:
    """Learn, or go on learning where the folder's last checkpoint was."""

    def loss(generator: Generator) -> Tensor:
        clean, text = batch(ROWS, generator)
        return LOSSES[kind](network, clean, text, generator)

    network = new_network(kind)
    return train(network, loss, Recipe(kind, minutes, learning_rate=2e-3, ema=0.99), folder)


def trained_network(kind: str, folder: Path) -> nn.Module:
    """Open the averaged parameters of the folder's last checkpoint, finished or not."""
    network = new_network(kind)
    state = torch.load(folder / f"{kind}.training.pt", map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    return network.eval()


def assemble(kind: str, network: nn.Module) -> Any:
    """Make a pipeline that is given embeddings; its latents are the pictures."""
    import diffusers

    parts = ("vae", "text_encoder", "tokenizer")
    if kind == "flux":
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        nothing = dict.fromkeys((*parts, "text_encoder_2", "tokenizer_2"))
        pipeline = diffusers.FluxPipeline(scheduler, transformer=network, **nothing)
    elif kind == "sd3":
        more = ("text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        nothing = dict.fromkeys((*parts, *more))
        pipeline = diffusers.StableDiffusion3Pipeline(network, scheduler, **nothing)
    else:
        pipeline = diffusers.PixArtSigmaPipeline(
            transformer=network, scheduler=new_scheduler(), **dict.fromkeys(parts)
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
