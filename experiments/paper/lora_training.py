"""A LoRA that knows preferred from other images, as that of the Human Preference Score does.

Wu et al., "Better Aligning Text-to-Image Models with Human Preference", arXiv 2303.14420, section
5, and its authors' code (github.com/tgxs002/align_sd): among the images of a prompt the one that a
preference scorer is sure to prefer is learnt with the prompt, the one that it is sure to like
least with "Weird image. " before the prompt; others, with their prompts, keep the rest as it was.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from experiments.demo_training.diffusion import v_loss

WEIRD = "Weird image. "
"""What stands before the prompt of an image that is not preferred, and in the negative prompt."""
PROJECTIONS = {"to_q": "to_q", "to_k": "to_k", "to_v": "to_v", "to_out.0": "to_out"}
"""Layers of an attention that are adapted, and what the old attention processors call them."""
REGULARIZING = 0.25
"""Share of a batch that is drawn from all images with their prompts."""


@dataclass(frozen=True)
class Drawn:
    """Images of one prompt, as the U-Net sees them."""

    prompt: str
    latents: Tensor
    """`images channels height width`."""
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Examples:
    """What is learnt: captions and the images that belong to them."""

    captions: list[str]
    latents: Tensor


def choose(drawn: Sequence[Drawn]) -> tuple[Examples, Examples]:
    """Return preferred and other images with their captions, then all with their prompts.

    An image is taken where the softmax of the scores, or of their negatives, gives it more than
    twice an even share (the authors' `select_training_images.py`).
    """
    captions, latents = list[str](), list[Tensor]()
    for one in drawn:
        for sign, prefix in ((1, ""), (-1, WEIRD)):
            shares = torch.softmax(sign * torch.tensor(one.scores), 0)
            best = int(shares.argmax())
            if shares[best] > 2 / len(shares):
                captions.append(prefix + one.prompt)
                latents.append(one.latents[best])
    if not latents:
        raise ValueError("the scorer is sure of none of the images; draw more of them")
    everything = [one.prompt for one in drawn for _ in one.scores]
    return (
        Examples(captions, torch.stack(latents)),
        Examples(everything, torch.cat([one.latents for one in drawn])),
    )


class LoraLoss:
    """The loss of a batch; `train` calls it with the generator of the training."""

    def __init__(self, pipeline: Any, chosen: Examples, everything: Examples, batch: int) -> None:
        """Keep what to learn from; the pipeline's U-Net has an adapter already."""
        self.modules = nn.ModuleDict({"unet": pipeline.unet, "text_encoder": pipeline.text_encoder})
        self._scheduler = pipeline.scheduler
        self._tokenizer = pipeline.tokenizer
        self._chosen, self._everything, self._batch = chosen, everything, batch

    def __call__(self, generator: Generator) -> Tensor:
        """Draw a batch and return its mean squared error."""
        others = round(self._batch * REGULARIZING)
        captions, latents = list[str](), list[Tensor]()
        for examples, count in ((self._chosen, self._batch - others), (self._everything, others)):
            picked = torch.randint(len(examples.captions), (count,), generator=generator)
            captions += [examples.captions[i] for i in picked.tolist()]
            latents.append(examples.latents[picked])
        dropped = random.Random(int(torch.randint(2**31, (), generator=generator)))
        captions = ["" if dropped.random() < 0.05 else caption for caption in captions]
        ids = self._tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        return v_loss(self.modules, self._scheduler, torch.cat(latents), ids, generator)


def add_adapter(unet: Any, rank: int, seed: int) -> None:
    """Give all attentions of a U-Net an adapter that changes nothing yet; freeze the rest."""
    from peft import LoraConfig

    unet.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(PROJECTIONS)))


def published_names(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return PEFT's parameters under the names of the old attention processors.

    In this format the LoRA of the Human Preference Score was published.
    """
    renamed = {}
    for name, values in parameters.items():
        attention, layer = name.split("attn", 1)
        number, projection = layer.split(".", 1)
        projection, factor = projection.rsplit(".lora_", 1)
        direction = {"A.weight": "down.weight", "B.weight": "up.weight"}[factor]
        old = f"{attention}attn{number}.processor.{PROJECTIONS[projection]}_lora.{direction}"
        renamed[old] = values
    return renamed
