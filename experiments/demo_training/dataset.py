"""The drawn pictures on disk, and batches from them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from experiments.demo_data import SIZE, Attributes, pictures


@dataclass(frozen=True)
class Pictures:
    """Pictures and what they show."""

    pixels: np.ndarray
    """`n 64 64 3`, uint8, on disk."""
    attributes: list[Attributes]
    device: str = "cpu"
    """Where batches go."""

    def __len__(self) -> int:
        return len(self.attributes)

    def batch(self, indices: Tensor) -> Tensor:
        """Return pictures as `batch 3 64 64` in [-1, 1]."""
        levels = torch.from_numpy(self.pixels[indices.numpy()]).permute(0, 3, 1, 2).to(self.device)
        images = levels.float().div_(127.5).sub_(1.0)
        return images.contiguous(memory_format=torch.channels_last)

    def random_batch(self, size: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return indices and pictures drawn with replacement."""
        indices = torch.randint(len(self), (size,), generator=generator)
        return indices, self.batch(indices)


def build(folder: Path, count: int, seed: int, name: str) -> None:
    """Draw the pictures once; a finished file is kept, an unfinished one is drawn anew."""
    if (folder / f"{name}.json").exists():
        return
    shape = (count, SIZE, SIZE, 3)
    pixels = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape)
    attributes = []
    for index, (shown, picture) in enumerate(pictures(folder, count, seed)):
        pixels[index] = picture
        attributes.append(asdict(shown))
        if index % 5000 == 0:
            print(f"{name}: {index} of {count} drawn", flush=True)
    pixels.flush()
    part = folder / f"{name}.json.part"
    part.write_text(json.dumps(attributes))
    part.replace(folder / f"{name}.json")


def load(folder: Path, name: str, device: str = "cpu") -> Pictures:
    """Open pictures that `build` has drawn."""
    rows = json.loads((folder / f"{name}.json").read_text())
    pixels = np.load(folder / f"{name}.npy", mmap_mode="r")
    return Pictures(pixels, [Attributes(**row) for row in rows], device)
