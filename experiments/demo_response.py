"""How the bundled checkpoint responds to liked references: heat maps.

    python -m experiments.demo_response             # about 15 minutes, goes on where it stopped
    python -m experiments.demo_response --smoke     # two points, bundled references

References of one style and background, prompts that name the object only, other objects than the
references'. Over weight and end of the window, for 1, 2 and 4 references: the share of pictures in
the references' style, with the prompt's object, and with both, by the judge; and how much two
pictures of one prompt differ (1 - cosine of the scorer's embeddings).
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from experiments.demo_data import BACKGROUNDS, CONCEPTS, STYLES
from experiments.demo_training import dataset
from experiments.demo_training.export import load_judge
from experiments.demo_training.judge import Judge, name_attributes
from experiments.demo_training.pixels import to_tensor
from experiments.evaluate_demo import Shown, bundled, held_out
from experiments.heatmaps import Grid, draw, scan
from fabricbo.records import Action, FabricParams
from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline
from objectives.embedder import load_embedder

COUNTS = (1, 2, 4)
PROMPTS = 3
"""Prompts a group; each is drawn with two seeds."""
MAPS = {
    "style": "style taken",
    "concept": "object kept",
    "both": "both",
    "diversity": "diversity",
}


@dataclass(frozen=True)
class Group:
    """References of one style and background, and objects to draw with them."""

    references: tuple[Shown, ...]
    concepts: tuple[str, ...]
    first_seed: int


def groups_of(pool: Sequence[Shown], count: int, seed: int = 5) -> list[Group]:
    """Make groups of four references each, or as many as there are; the styles in turn."""
    rng = random.Random(seed)
    groups = []
    for number in range(count):
        style = STYLES[number % len(STYLES)]
        of_style = [p for p in pool if p.attributes.style == style]
        background = rng.choice(list(BACKGROUNDS))
        exact = [p for p in of_style if p.attributes.background == background]
        candidates = exact if len(exact) >= max(COUNTS) else of_style
        chosen = rng.sample(candidates, min(max(COUNTS), len(candidates)))
        taken = {p.attributes.concept for p in chosen}
        concepts = rng.sample([c for c in CONCEPTS if c not in taken], PROMPTS)
        groups.append(Group(tuple(chosen), tuple(concepts), 3_000_000 + 100 * number))
    return groups


def respond(
    sampler: FabricSampler,
    judge: Judge,
    groups: Sequence[Group],
    references: int,
    params: FabricParams,
) -> dict[str, float]:
    """Draw with the first references of every group; return what is shown in the heat maps."""
    styles, concepts, differences = [], [], []
    for group in groups:
        action = Action(params, tuple(shown.reference() for shown in group.references[:references]))
        wanted = [concept for concept in group.concepts for _ in range(2)]
        prompts = [f"{'an' if c[0] in 'aeiou' else 'a'} {c}" for c in wanted]
        seeds = range(group.first_seed, group.first_seed + len(prompts))
        images = sampler(action, prompts, seeds)
        named = name_attributes(judge, to_tensor(images))
        styles += [a.style == group.references[0].attributes.style for a in named]
        concepts += [a.concept == c for a, c in zip(named, wanted, strict=True)]
        embedded = load_embedder("demo").images(images)
        differences += [
            1 - float(embedded[a] @ embedded[b])
            for a, b in zip(range(0, 6, 2), range(1, 6, 2), strict=True)
        ]
    both = [a and b for a, b in zip(styles, concepts, strict=True)]
    return {
        "style": sum(styles) / len(styles),
        "concept": sum(concepts) / len(concepts),
        "both": sum(both) / len(both),
        "diversity": sum(differences) / len(differences),
        "images": len(styles),
    }


def figure(grids: dict[int, Grid], file: Path) -> None:
    """Draw all heat maps: a row for each number of references."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shape = (len(grids), len(MAPS))
    plot, axes = pyplot.subplots(*shape, figsize=(12, 2.6 * len(grids)), squeeze=False)
    limits = dict.fromkeys(("style", "concept", "both"), (0.0, 1.0))
    for row, (count, grid) in zip(axes, grids.items(), strict=True):
        for axis, (value, title) in zip(row, MAPS.items(), strict=True):
            plural = "s" if count > 1 else ""
            draw(axis, grid, value, f"{title}, {count} reference{plural}", limits.get(value))
        row[0].set_ylabel("end of the window")
    for axis in axes[-1]:
        axis.set_xlabel("feedback weight")
    plot.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=100)


def main() -> None:
    """Parse the command line, measure, draw."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    sampler = FabricSampler(load_pipeline(Checkpoint("demo", device=options.device)))
    judge = load_judge(options.judge)
    pool = bundled() if options.smoke else held_out(dataset.load(options.data, "validation"))
    groups = groups_of(pool, 1 if options.smoke else 6)
    grids = {}
    for count in COUNTS:

        def measure(params: FabricParams, count: int = count) -> dict[str, float]:
            return respond(sampler, judge, groups, count, params)

        grids[count] = scan(options.results, f"{count} liked", measure, smoke=options.smoke)
    figure(grids, options.figure)
    print(options.figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="two points, bundled references")
    parser.add_argument("--data", type=Path, default=Path(".demo_training"))
    parser.add_argument("--judge", type=Path, default=Path("tests/data/judge"))
    results = Path(".demo_training/response.json")
    parser.add_argument("--results", type=Path, default=results, help="what was measured so far")
    parser.add_argument("--figure", type=Path, default=Path(".demo_training/response.png"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    return parser


if __name__ == "__main__":
    main()
