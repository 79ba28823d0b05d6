"""What feedback costs: plain sampling, ours cold and warm, and the authors' way, side by side.

    python -m experiments.bench_sampler                    # Stable Diffusion 1.5's size
    python -m experiments.bench_sampler --references 2,8 --images 1 --json
    python -m experiments.bench_sampler --operations       # what each needs, nothing is computed
    python -m experiments.bench_sampler --weigh            # memory alone, nothing is timed
    python -m experiments.bench_sampler --time --ways plain,cold,authors --rounds 1
    python -m experiments.bench_sampler --memory --size 64    # what `max_memory` must be at least
    python -m experiments.bench_sampler --smoke

One guided evaluation of a U-Net with random parameters (the mean of two, at the first two denoising
steps), by number of references (half liked, half disliked) and of images. `cold` meets its
references for the first time, `strided` does so with the option `reference_stride = 2` (the mean of
four evaluations, and the only way that computes something else), `warm` has met them at these steps
before, as all trials of a study after the first do; `lean` is `warm` with that option; `authors` is
what the FABRIC authors' implementation computes, written anew here. All see the same inputs, and
their results are compared before anything is timed. Seconds are medians, of processor time on a
CPU, since other work takes a share of the clock; memory is the most that an evaluation holds at
once besides the U-Net, what is kept from one to the next (`warm`, `lean`) included. `bounded`,
which is only weighed unless asked for, is `lean` with nothing kept for another evaluation.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from experiments.sampler_speed.cost import operations, peak_bytes, side_by_side
from experiments.sampler_speed.unet import random_unet
from experiments.sampler_speed.ways import EVALUATIONS, STEPS, STRIDED, Cell, Ways
from fabricbo.sampler.memory import Batch, feature_sizes, need

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

NAMES = ("plain", "cold", "strided", "warm", "lean", "authors")
ALL = (*NAMES, "bounded")
WEIGHED = ("plain", "cold", "bounded", "authors")
"""Unless others are asked for, where nothing is timed."""
OTHERWISE = ("plain", "strided")
"""Those that compute something else than all others."""

Costs = Mapping[str, float]
"""Of each way, by its name."""


@dataclass(frozen=True)
class Row:
    """What was measured for so many references and images."""

    cell: Cell
    seconds: Costs
    """Of an evaluation; empty where nothing was timed."""
    bytes: Costs
    """Empty where nothing was weighed."""

    def to_json(self) -> dict[str, float]:
        """Return all numbers by name."""
        weighed = {f"{name}_bytes": found for name, found in self.bytes.items()}
        return {**asdict(self.cell), **self.seconds, **weighed}


def timed(ways: Ways, names: Sequence[str], rounds: int) -> Costs:
    """Return seconds of an evaluation."""
    both = side_by_side({name: getattr(ways, name) for name in names}, rounds)
    return {name: found / _evaluations(name) for name, found in both.items()}


def weighed(ways: Ways, names: Sequence[str]) -> Costs:
    """Return the most bytes that are held at once besides the U-Net."""
    found = {name: peak_bytes(getattr(ways, name)) for name in names}
    held = {"warm": ways.held, "lean": ways.held_lean}
    return {name: several + held.get(name, 0) for name, several in found.items()}


def _evaluations(name: str) -> int:
    return STRIDED if name == "strided" else EVALUATIONS


def check(ways: Ways, names: Sequence[str]) -> None:
    """Compare the results of ways that compute the same; afterwards `warm` and `lean` are warm.

    Raises:
        AssertionError: two differ.
    """
    same = [name for name in names if name not in OTHERWISE]
    again = [name for name in same if name == "warm"]
    first, *others = [getattr(ways, name)() for name in (*same, *again)] or [None]
    for other in others:
        if _difference(other, first) > (1e-4 if other.dtype == torch.float32 else 2e-2):
            raise AssertionError(f"results differ by {_difference(other, first):.1e}")


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


def table(rows: Sequence[Row]) -> list[str]:
    """Return a table in Markdown: seconds of plain sampling, the others by it, and megabytes."""
    heads = [*rows[0].seconds, *(f"MB: {name}" for name in rows[0].bytes)]
    lines = [f"| references | images | {' | '.join(heads)} |", f"|{'---|' * (2 + len(heads))}"]
    for row in rows:
        plain = row.seconds.get("plain")
        numbers = [
            f"{found:.3f} s" if name == "plain" or plain is None else f"{found / plain:.2f} x"
            for name, found in row.seconds.items()
        ]
        numbers += [f"{found / 1e6:.0f}" for found in row.bytes.values()]
        lines.append(f"| {row.cell.references} | {row.cell.images} | {' | '.join(numbers)} |")
    return lines


def operations_of(unet: "UNet2DConditionModel", cell: Cell) -> Costs:
    """Return billions of multiplications and additions of an evaluation."""
    ways = Ways(unet, cell)
    _ = ways.warm(), ways.lean()  # so that the next time they are
    return {name: operations(getattr(ways, name)) / _evaluations(name) for name in NAMES}


def operations_table(counted: Sequence[tuple[Cell, Costs]]) -> list[str]:
    """Return operations as a table."""
    lines = [
        f"| references | images | {' | '.join(NAMES)} | cold / authors |",
        f"|{'---|' * (len(NAMES) + 3)}",
    ]
    for cell, found in counted:
        numbers = " | ".join(f"{number:.4g}" for number in found.values())
        ratio = found["cold"] / found["authors"]
        lines.append(f"| {cell.references} | {cell.images} | {numbers} | {ratio:.2f} |")
    return lines


def memory_table(kind: str, size: int, cells: Sequence[Cell]) -> list[str]:
    """Return megabytes that feedback needs at least, and those of its features, as a table.

    As on a GPU in half precision; computed from sizes, see `fabricbo.sampler.memory`.
    """
    sizes = feature_sizes(random_unet(kind, size, "meta"), (size, size))
    sizes = replace(sizes, dtype=torch.float16, device=torch.device("cuda"))
    lines = ["| references | images | usual | lean | features of a run |", "|---|---|---|---|---|"]
    for cell in cells:
        liked = (cell.references + 1) // 2
        groups = [(cell.images, n) for n in (liked, cell.references - liked) if n]
        least = [need(sizes, Batch(groups), lean=lean) / 1e6 for lean in (False, True)]
        run = STEPS * cell.references * sizes.held_bytes(projected=False) / 1e6
        numbers = " | ".join(f"{number:.0f}" for number in (*least, run))
        lines.append(f"| {cell.references} | {cell.images} | {numbers} |")
    return lines


def figure(costs: Sequence[tuple[Cell, Costs]], what: str, file: Path) -> None:
    """Draw cost against the number of references, for the fewest images."""
    import matplotlib.pyplot as plt

    fewest = min(cell.images for cell, _ in costs)
    one = [(cell, found) for cell, found in costs if cell.images == fewest]
    found, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    for name in one[0][1]:
        if name == "plain":
            continue
        axes.plot(
            [cell.references for cell, _ in one],
            [cost[name] / cost["plain"] for _, cost in one],
            marker="o",
            label=name,
        )
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("references")
    axes.set_ylabel(f"{what} by those of plain sampling")
    axes.set_ylim(bottom=0)
    axes.legend()
    found.savefig(file, dpi=120)
    plt.close(found)


def main() -> None:
    """Parse the command line, measure, print."""
    options = _options()
    cells = [Cell(several, images) for images in options.images for several in options.references]
    kind, size = ("tiny", 16) if options.smoke else (options.unet, options.size)
    if options.operations:
        meta = random_unet(kind, size, "meta")
        counted = [(cell, operations_of(meta, cell)) for cell in cells]
        print("\n".join(operations_table(counted)))
        if options.figure:
            figure(counted, "operations", options.figure)
        return
    if options.memory:
        print("\n".join(memory_table(kind, size, cells)))
        return
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() and not options.cpu else "cpu"
    unet = random_unet(kind, size, device)
    names = options.ways or (WEIGHED if options.weigh else NAMES)
    rows = []
    for cell in cells:
        ways = Ways(unet, cell)
        check(ways, names)
        seconds = {} if options.weigh else timed(ways, names, options.rounds)
        rows.append(Row(cell, seconds, {} if options.time else weighed(ways, names)))
        print(table(rows)[-1], file=sys.stderr)
    if options.figure:
        figure([(row.cell, row.seconds) for row in rows], "seconds", options.figure)
    if options.json:
        print(json.dumps({"device": device, "rows": [row.to_json() for row in rows]}))
    else:
        print("\n".join(table(rows)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    def names(text: str) -> list[str]:
        found = text.split(",")
        if not set(ALL).issuperset(found):
            raise argparse.ArgumentTypeError(f"ways are {', '.join(ALL)}, got {text}")
        return found

    parser.add_argument("--references", type=numbers, default=[1, 2, 4, 8, 16])
    parser.add_argument("--images", type=numbers, default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5, help="each way is timed so often")
    parser.add_argument("--unet", choices=("sd15", "tiny"), default="sd15", help="how large")
    parser.add_argument("--size", type=int, default=32, help="of the latents: 64 for 512 pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    parser.add_argument("--figure", type=Path, help="draw cost by references into this file")
    parser.add_argument("--operations", action="store_true", help="count, and time nothing")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--time", action="store_true", help="measure no memory")
    alone.add_argument("--weigh", action="store_true", help="measure memory, time nothing")
    parser.add_argument("--ways", type=names, help=f"some of {', '.join(ALL)}; unless all")
    parser.add_argument("--memory", action="store_true", help="compute what it needs at least")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="a small U-Net, two cells")
    options = parser.parse_args()
    if options.figure and options.ways and "plain" not in options.ways:
        parser.error("a figure is drawn by plain sampling, which is not among --ways")
    if options.smoke:
        options.references = [1] if options.operations else [1, 4]
        options.images, options.rounds = [1], 1
    return options


if __name__ == "__main__":
    main()
