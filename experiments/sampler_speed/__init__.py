"""Parts of `experiments.bench_sampler`: the ways to evaluate a U-Net, and what they cost."""

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()  # before any part imports diffusers
