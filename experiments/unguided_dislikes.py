"""Do dislikes act where there is no guidance, and as they do with it? On the bundled checkpoint.

    python -m experiments.unguided_dislikes            # some minutes, prints a table
    python -m experiments.unguided_dislikes --smoke --json

Two references of one style and background are disliked, of those that come with the checkpoint;
prompts name the object only. `style` and `background` are the shares of pictures that have theirs,
`concept` the share whose object is right, by the judge of `experiments.evaluate_demo`, for the
same prompts and seeds everywhere. Weight 0 is no feedback. With a guidance of 1 there is no
unconditional pass, and attention is pushed away from what is disliked.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from experiments.demo_training.export import load_judge
from experiments.evaluate_demo import PARAMS, bundled, draw_with_references
from fabricbo.records import Role
from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline

SETTINGS = tuple(
    (guidance, weight)
    for guidance in (1.0, PARAMS.guidance_scale)
    for weight in (0.0, 0.2, 0.4, 0.8, 2.0)
)
MEASURES = ("style", "background", "concept")


def measure(groups: int, settings: tuple[tuple[float, float], ...]) -> list[dict[str, Any]]:
    """Draw and judge every guidance and weight, eight pictures a group."""
    sampler = FabricSampler(load_pipeline(Checkpoint("demo", device="cpu")))
    judge, pool, rows = load_judge(Path("tests/data/judge")), bundled(), []
    for guidance, weight in settings:
        params = replace(PARAMS, guidance_scale=guidance, neg_scale=1.0)
        drawn, _ = draw_with_references(sampler, pool, groups, weight, Role.DISLIKED, params)
        shares = drawn.judged(judge)
        row = {"guidance": guidance, "weight": weight, "images": len(drawn.images)}
        rows.append({**row, **{name: shares[name] for name in MEASURES}})
    return rows


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", type=int, default=18, help="of eight pictures a setting")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--smoke", action="store_true", help="one group, two settings")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = measure(1, SETTINGS[:2]) if options.smoke else measure(options.groups, SETTINGS)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"| guidance | weight | {' | '.join(MEASURES)} |")
    print("|---|---|---|---|---|")
    for row in rows:
        cells = " | ".join(f"{row[name]:.2f}" for name in MEASURES)
        print(f"| {row['guidance']:g} | {row['weight']:g} | {cells} |")


if __name__ == "__main__":
    main()
