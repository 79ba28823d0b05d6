"""U-Nets of the size of Stable Diffusion 1.5, and small ones, with random parameters."""

import torch
from diffusers import UNet2DConditionModel

_SIZES = {
    "sd15": {"block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768},
    "tiny": {"block_out_channels": (32, 32, 64, 64), "cross_attention_dim": 32},
}


def random_unet(size: str, sample: int, device: str) -> UNet2DConditionModel:
    """Make a U-Net whose inputs are `sample` x `sample` latents; half precision on a GPU."""
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=sample,
            attention_head_dim=8,
            down_block_types=(*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
            up_block_types=("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
            **_SIZES[size],
        )
    unet.eval()
    return unet.half() if device == "cuda" else unet
