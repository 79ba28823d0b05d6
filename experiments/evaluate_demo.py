"""Measure the bundled checkpoint with the judge.

    python -m experiments.evaluate_demo                 # about 5 minutes, prints a table
    python -m experiments.evaluate_demo --json          # one object
    python -m experiments.evaluate_demo --smoke         # a few pictures, no data needed

`concept`, `style` and `background` are the shares of pictures that show what their prompt names.
`style_share_weight_0` and `style_share_weight_08` are the shares in the style of two liked
references of one style and background, for prompts that name the object only, at feedback weights
0 and 0.8 over the whole window; `concept_weight_08` is the share whose object is right then.
`style_share_disliked` is the share in that style when the same two are disliked instead.
`judge_concept` and so on tell how well the judge names real pictures that it never saw; `scorer_*`
and `preference_agreement` tell the same of the scorers, `psnr` of the autoencoder, in dB. They
and the references come from the validation pictures of `experiments.train_demo --stage data`.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from experiments.demo_data import BACKGROUNDS, CONCEPTS, STYLES, Attributes, every_combination
from experiments.demo_training import dataset, scorer, taste
from experiments.demo_training.autoencoder import psnr
from experiments.demo_training.export import load_judge
from experiments.demo_training.judge import Judge, accuracy, name_attributes, shares
from experiments.demo_training.pixels import grid, to_tensor
from fabricbo.demo import preference_scorer_folder, references, scorer_folder
from fabricbo.imagefiles import pixel_hash
from fabricbo.records import Action, FabricParams, Reference, Role
from fabricbo.sampler import Checkpoint, FabricSampler, load_pipeline

PARAMS = FabricParams(
    feedback_start=0.0, feedback_end=1.0, max_weight=0.8, guidance_scale=3.0, denoising_steps=20
)
BATCH = 8


@dataclass(frozen=True)
class Size:
    """How much is drawn."""

    named: int
    """Pictures with everything named."""
    groups: int
    """Pairs of references; each is tried with `BATCH` prompts."""


@dataclass(frozen=True)
class Shown:
    """A real picture and what it shows."""

    attributes: Attributes
    image: Image.Image

    def reference(self) -> Reference:
        """Return the picture as a reference."""
        return Reference(pixel_hash(self.image), self.attributes.caption(), self.image)


@dataclass(frozen=True)
class Drawn:
    """Pictures that the checkpoint drew, and what they were to show."""

    images: list[Image.Image]
    wanted: list[Attributes]

    def judged(self, judge: Judge) -> dict[str, float]:
        """Return the share that is right, by attribute."""
        return shares(name_attributes(judge, to_tensor(self.images)), self.wanted)


def draw_named(sampler: FabricSampler, count: int) -> Drawn:
    """Draw pictures with everything named in the prompt; every combination about equally often."""
    rng = random.Random(0)
    rounds = -(-count // len(every_combination()))
    wanted = rng.sample(every_combination() * rounds, count)
    images = []
    for start in range(0, count, BATCH):
        prompts = [attributes.caption() for attributes in wanted[start : start + BATCH]]
        seeds = range(1_000_000 + start, 1_000_000 + start + len(prompts))
        images += sampler(Action(PARAMS), prompts, seeds)
    return Drawn(images, wanted)


def draw_with_references(
    sampler: FabricSampler,
    pool: Sequence[Shown],
    groups: int,
    weight: float,
    role: Role,
    params: FabricParams = PARAMS,
) -> tuple[Drawn, list[Shown]]:
    """Draw pictures whose prompt names the object only, with two references a group.

    Returns:
        The pictures, wanted in style and background of their references, and the references.
    """
    rng = random.Random(1)
    drawn, used = Drawn([], []), []
    for group in range(groups):
        style, background = STYLES[group % len(STYLES)], rng.choice(list(BACKGROUNDS))
        pair = choose_pair(pool, style, background, rng)
        concepts = [c for c in CONCEPTS if c not in {p.attributes.concept for p in pair}]
        wanted = [Attributes(c, style, background) for c in rng.sample(concepts, BATCH)]
        used_as = {role.value: tuple(p.reference() for p in pair)}
        action = Action(replace(params, max_weight=weight), **used_as)
        prompts = [attributes.caption().split(" on a ")[0] for attributes in wanted]
        seeds = range(2_000_000 + group * BATCH, 2_000_000 + (group + 1) * BATCH)
        drawn.images.extend(sampler(action, prompts, seeds))
        drawn.wanted.extend(wanted)
        used += pair
    return drawn, used


def choose_pair(
    pool: Sequence[Shown], style: str, background: str, rng: random.Random
) -> list[Shown]:
    """Choose two pictures of a style, and of a background where the pool has them."""
    of_style = [p for p in pool if p.attributes.style == style]
    exact = [p for p in of_style if p.attributes.background == background]
    return rng.sample(exact if len(exact) > 1 else of_style, 2)


def bundled() -> list[Shown]:
    """Return the pictures that come with the checkpoint."""
    return [
        Shown(Attributes(r.concept, r.style, r.background), Image.open(r.path).convert("RGB"))
        for r in references()
    ]


def held_out(pictures: dataset.Pictures) -> list[Shown]:
    """Return real pictures that nothing was trained on."""
    images = (Image.fromarray(pixels) for pixels in pictures.pixels)
    return [Shown(a, image) for a, image in zip(pictures.attributes, images, strict=True)]


def evaluate(sampler: FabricSampler, judge: Judge, pool: Sequence[Shown], size: Size) -> Any:
    """Draw and judge.

    Returns:
        The shares, and pictures by name of what they belong to.
    """
    named = draw_named(sampler, size.named)
    without, _ = draw_with_references(sampler, pool, size.groups, 0.0, Role.LIKED)
    liked, used = draw_with_references(sampler, pool, size.groups, 0.8, Role.LIKED)
    disliked, _ = draw_with_references(sampler, pool, size.groups, 0.8, Role.DISLIKED)
    at_0, at_08, against = (drawn.judged(judge) for drawn in (without, liked, disliked))
    result = {
        "images": size.named,
        **named.judged(judge),
        "feedback_images": len(liked.images),
        "style_share_weight_0": at_0["style"],
        "style_share_weight_08": at_08["style"],
        "style_share_disliked": against["style"],
        "background_share_weight_0": at_0["background"],
        "background_share_weight_08": at_08["background"],
        "background_share_disliked": against["background"],
        "concept_weight_0": at_0["concept"],
        "concept_weight_08": at_08["concept"],
        "concept_disliked": against["concept"],
    }
    pairs = [p.image for p in used]
    rows = [
        [*pairs[2 * g : 2 * g + 2], *liked.images[g * BATCH : (g + 1) * BATCH]]
        for g in range(min(size.groups, 12))
    ]
    return result, {
        "front_page": grid(named.images[:50], 10),
        "named": grid(named.images, 24),
        "weight_0": grid(without.images[:96], BATCH),
        "disliked": grid(disliked.images[:96], BATCH),
        "weight_08": grid([image for row in rows for image in row], BATCH + 2),
    }


def networks(pictures: dataset.Pictures, pipeline: Any) -> dict[str, float]:
    """Measure autoencoder, scorer and preference scorer on real pictures."""
    import open_clip
    from transformers import AutoModel

    name = f"local-dir:{scorer_folder()}"
    scorer_model = open_clip.create_model_and_transforms(name)[0].eval()
    preference = AutoModel.from_pretrained(preference_scorer_folder(), dtype=torch.float32).eval()
    tokenizer = pipeline.tokenizer
    found = scorer.quality(scorer_model, pictures, tokenizer)
    return {
        "psnr": psnr(pipeline.vae, pictures, len(pictures)),
        **{f"scorer_{name}": value for name, value in found.items()},
        "preference_agreement": taste.agreement(preference, pictures, tokenizer),
    }


def main() -> None:
    """Parse the command line, measure, print."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    sampler = FabricSampler(load_pipeline(Checkpoint("demo", device=options.device)))
    judge = load_judge(options.judge)
    if options.smoke:
        pool, size = bundled(), Size(named=2 * BATCH, groups=1)
        accuracies = shares(
            name_attributes(judge, to_tensor([p.image for p in pool])),
            [p.attributes for p in pool],
        )
    else:
        pictures = dataset.load(options.folder, "validation")
        pool, size = held_out(pictures), Size(options.images, groups=18)
        accuracies = accuracy(judge, pictures)
    result, grids = evaluate(sampler, judge, pool, size)
    result |= {f"judge_{name}": share for name, share in accuracies.items()}
    result["judge_images"] = len(pool)
    if not options.smoke:
        result |= networks(pictures, sampler.pipeline)
    options.grids.mkdir(parents=True, exist_ok=True)
    for name, picture in grids.items():
        picture.save(options.grids / f"{name}.png")
    _report(result, options)


def _report(result: dict[str, float], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    print(f"pictures are in {options.grids}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="a few pictures, bundled references")
    parser.add_argument("--images", type=int, default=504, help="pictures with everything named")
    parser.add_argument("--folder", type=Path, default=Path(".demo_training"))
    parser.add_argument("--judge", type=Path, default=Path("tests/data/judge"))
    parser.add_argument("--grids", type=Path, default=Path(".demo_training/evaluation"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    return parser


if __name__ == "__main__":
    main()
