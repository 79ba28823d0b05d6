"""Does feedback act in diffusion transformers? Two small ones are trained, then measured.

    python -m experiments.transformer_feedback --stage train --kind sd3 --minutes 30
    python -m experiments.transformer_feedback --stage measure --kind sd3     # prints a table
    python -m experiments.transformer_feedback --smoke --json                 # seconds, no meaning

Kinds: `sd3`, joint attention of image and text in diffusers' `SD3Transformer2DModel`, trained as a
rectified flow; `flux`, joint attention with rotary places in `FluxTransformer2DModel`, trained in
the same way; `pixart`, self-attention and cross-attention in `PixArtTransformer2DModel`, trained
on v. All draw shapes of 12 x 12 pixels (`experiments.transformer_training.shapes`), without an
autoencoder and without a text encoder, at a size that one core trains within half an hour.

A group is two references of one colour on one background, and prompts that name the other four
shapes only, each with two seeds. `color` and `ground` are the shares of pictures that have the
references' colour and background, `shape` the share with the shape of the prompt, `copied` that
with the shape of a reference, which no prompt names. Differences are to weight 0 with the same
seeds; the intervals hold 95 % and take a group as the unit.
`--guidance` of 1 or less draws without an unconditional pass; attention is pushed away from what is
disliked then. `--text-too` lets text queries of joint attention see the references as well (sd3).
`--places` says where the tokens of references are (flux): beside the image (`right`, as fabricbo
has it), below it (`below`), where its own are (`same`), or in a picture with a number of its own
(`number`).
Training goes on where its last checkpoint was.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from unittest import mock

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from fabricbo.torchvision_compat import ensure_importable

ensure_importable()

from experiments.demo_training.pixels import grid  # noqa: E402
from experiments.transformer_training import networks  # noqa: E402
from experiments.transformer_training.shapes import (  # noqa: E402
    COLORS,
    GROUNDS,
    SHAPES,
    SIZE,
    Shown,
    draw,
    embed,
    judge,
)
from fabricbo.records import FabricParams, Role  # noqa: E402
from fabricbo.sampler import (  # noqa: E402
    FeedbackInputs,
    ReferenceLatent,
    feedback,
    flux,
    surgery,
)
from fabricbo.sampler.attention import Offer, attention_both_ways  # noqa: E402
from fabricbo.sampler.joint import heads  # noqa: E402

PARAMS = FabricParams(
    feedback_start=0.0, feedback_end=1.0, neg_scale=1.0, guidance_scale=3.0, denoising_steps=20
)
SMOKE_STEPS = 2
SETTINGS = (
    (Role.LIKED, 0.0),
    *((Role.LIKED, weight) for weight in (0.1, 0.3, 0.8, 2.0)),
    *((Role.DISLIKED, weight) for weight in (0.8, 2.0)),
)
SEEDS = 2
PLACES = {
    "right": (0, 0, SIZE // 2),
    "below": (0, SIZE // 2, 0),
    "same": (0, 0, 0),
    "number": (1, 0, 0),
}
MEASURES = ("color", "ground", "shape", "copied")


@dataclass(frozen=True)
class Group:
    """Two references and what is drawn with them."""

    number: int
    color: str
    ground: str
    shapes: tuple[str, ...]
    """Of the references."""

    @property
    def wanted(self) -> list[Shown]:
        """Return what each picture is to show."""
        named = [shape for shape in SHAPES if shape not in self.shapes]
        return [Shown(shape, self.color, self.ground) for shape in named for _ in range(SEEDS)]

    @property
    def references(self) -> tuple[ReferenceLatent, ...]:
        """Draw the references."""
        generator = Generator().manual_seed(900_000 + self.number)
        return tuple(
            ReferenceLatent(
                f"{self.number} {shape}",
                draw(Shown(shape, self.color, self.ground), generator)[None],
            )
            for shape in self.shapes
        )


def groups(count: int) -> list[Group]:
    """Return groups whose colours, backgrounds and reference shapes change in turn."""
    colors, grounds = list(COLORS), list(GROUNDS)
    return [
        Group(
            n,
            colors[n % len(colors)],
            grounds[(n + n // len(colors)) % len(grounds)],
            (SHAPES[n % len(SHAPES)], SHAPES[(n + 1 + n // len(SHAPES)) % len(SHAPES)]),
        )
        for n in range(count)
    ]


def draw_group(kind: str, pipeline: Any, group: Group, role: Role, params: FabricParams) -> Tensor:
    """Draw a group's pictures, `pictures 3 12 12`."""
    embeds, pooled = embed([(shown.shape, "", "") for shown in group.wanted])
    null_embeds, null_pooled = embed([("", "", "")])
    rows = len(group.wanted)
    given: dict[str, Any] = {
        "prompt_embeds": embeds,
        "negative_prompt_embeds": null_embeds.expand(rows, -1, -1),
        "true_cfg_scale" if kind == "flux" else "guidance_scale": params.guidance_scale,
    }
    if kind != "pixart":
        given["pooled_prompt_embeds"] = pooled
        given["negative_pooled_prompt_embeds"] = null_pooled.expand(rows, -1)
        null_added = {"pooled_projections": null_pooled}
    else:
        mask = torch.ones(rows, embeds.shape[1], dtype=torch.long)
        given |= {"prompt_attention_mask": mask, "negative_prompt_attention_mask": mask}
        given |= {"negative_prompt": None, "use_resolution_binning": False}
        null_added = {"encoder_attention_mask": mask[:1]}
    inputs = FeedbackInputs(null_embeds, null_added=null_added, **{role.value: group.references})
    first = 3_000_000 + group.number * rows
    with feedback(pipeline.transformer, pipeline.scheduler, params, inputs):
        output = pipeline(
            **given,
            height=SIZE * pipeline.vae_scale_factor,  # there is no autoencoder
            width=SIZE * pipeline.vae_scale_factor,
            num_inference_steps=params.denoising_steps,
            generator=[Generator().manual_seed(seed) for seed in range(first, first + rows)],
            output_type="latent",
        )
    pictures: Tensor = output.images
    if kind == "flux":  # tokens of 2 x 2
        return F.pixel_shuffle(pictures.transpose(1, 2).unflatten(2, (SIZE // 2, -1)), 2)
    return pictures


def shares(pictures: Tensor, group: Group) -> dict[str, float]:
    """Return the shares of a group's pictures that show what they are to show."""
    pairs = list(zip(map(judge, pictures), group.wanted, strict=True))
    return {
        "color": fmean(seen.color == wanted.color for seen, wanted in pairs),
        "ground": fmean(seen.ground == wanted.ground for seen, wanted in pairs),
        "shape": fmean(seen.shape == wanted.shape for seen, wanted in pairs),
        "copied": fmean(seen.shape in group.shapes for seen, _ in pairs),
    }


def difference(found: Sequence[float], plain: Sequence[float]) -> tuple[float, float]:
    """Return the mean difference by group and half of its 95 % interval."""
    apart = [a - b for a, b in zip(found, plain, strict=True)]
    spread = stdev(apart) if len(apart) > 1 else 0.0
    return fmean(apart), 1.96 * spread / math.sqrt(len(apart))


@dataclass(frozen=True)
class Plan:
    """How much is measured, and how."""

    groups: int
    params: FabricParams
    text_too: bool
    places: str


@contextmanager
def text_sees_references() -> Iterator[None]:
    """Let text queries attend to references, too, where image and text share an attention."""

    def every_query(
        attn: Any, image: Any, text: Tensor, offer: Offer, form: Any = None
    ) -> tuple[Tensor, Tensor]:
        told = (
            heads(attn, attn.add_q_proj(text), attn.norm_added_q),
            heads(attn, attn.add_k_proj(text), attn.norm_added_k),
            heads(attn, attn.add_v_proj(text), None),
        )
        query, key, value = (torch.cat(both, dim=2) for both in zip(image, told, strict=True))
        mixed = attention_both_ways(query, key, value, offer, form)
        own, rest = mixed.transpose(1, 2).flatten(2).split([image[0].shape[2], text.shape[1]], 1)
        return attn.to_out[0](own), rest if attn.context_pre_only else attn.to_add_out(rest)

    with mock.patch.object(surgery, "joint_attention", every_query):
        yield


@contextmanager
def references_at(places: str) -> Iterator[None]:
    """Put the tokens of references somewhere else, by the number, row and column of theirs."""
    by = torch.tensor(PLACES[places])
    with mock.patch.object(flux, "shifted", lambda places: places + by):
        yield


def measure(kind: str, network: Any, plan: Plan) -> tuple[Any, list[Any]]:
    """Draw and judge every setting.

    Returns:
        A row for each setting, and a row of pictures for each group and setting.
    """
    pipeline, rows, lines = networks.assemble(kind, network), [], []
    chosen, plain = groups(plan.groups), None
    text = text_sees_references() if plan.text_too else nullcontext()
    with text, references_at(plan.places):
        for role, weight in SETTINGS:
            params = replace(plan.params, max_weight=weight)
            drawn = [draw_group(kind, pipeline, group, role, params) for group in chosen]
            found = [shares(pictures, group) for pictures, group in zip(drawn, chosen, strict=True)]
            plain = plain or found
            row: dict[str, Any] = {"kind": kind, "role": role.value, "weight": weight}
            for name in MEASURES:
                values, before = [f[name] for f in found], [f[name] for f in plain]
                row[name] = fmean(values)
                row[f"{name}_difference"] = difference(values, before)
            rows.append(row)
            lines.append(drawn)
    return rows, lines


def sheet(lines: Sequence[Sequence[Tensor]], chosen: Sequence[Group]) -> Image.Image:
    """Lay out two groups side by side: references, then a group's pictures; a row a setting."""
    images, shown = [], chosen[:2]
    for drawn in lines:
        for number, group in enumerate(shown):
            pictures = [*(r.latents[0] for r in group.references), *drawn[number]]
            images += [_image(picture) for picture in pictures]
    return grid(images, len(shown) * (2 + len(chosen[0].wanted)))


def _image(picture: Tensor) -> Image.Image:
    levels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(levels).resize((4 * SIZE, 4 * SIZE), Image.Resampling.NEAREST)


def main() -> None:
    """Parse the command line, train or measure, print."""
    parser = _parser()
    options = parser.parse_args()
    if options.text_too and options.kind != "sd3":
        parser.error("--text-too needs --kind sd3: only there text has queries of its own")
    if options.places != "right" and options.kind != "flux":
        parser.error("--places needs --kind flux: only there places enter each attention")
    plan = _plan(options)
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    kinds = networks.NEW if options.kind == "all" else (options.kind,)
    rows = []
    for kind in kinds:
        if options.stage != "measure":
            minutes = 0.02 if options.smoke else options.minutes
            networks.train_network(kind, options.folder, minutes)
        if options.stage != "train":
            network = networks.trained_network(kind, options.folder)
            found, lines = measure(kind, network, plan)
            rows += found
            sheet(lines, groups(plan.groups)).save(options.folder / f"{kind}.png")
    _report(rows, options)


def _plan(options: argparse.Namespace) -> Plan:
    where = (options.text_too, options.places)
    if options.smoke:
        return Plan(1, replace(PARAMS, denoising_steps=SMOKE_STEPS), *where)
    return Plan(options.groups, replace(PARAMS, guidance_scale=options.guidance), *where)


def _report(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(rows))
        return
    print(f"| network | references | weight | {' | '.join(MEASURES)} |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [f"{row[n]:.2f} ({_signed(*row[f'{n}_difference'])})" for n in MEASURES]
        print(f"| {row['kind']} | {row['role']} | {row['weight']:g} | {' | '.join(cells)} |")


def _signed(mean: float, half: float) -> str:
    return f"{mean:+.2f} ± {half:.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", choices=("train", "measure", "all"), default="all")
    parser.add_argument("--kind", choices=(*networks.NEW, "all"), default="all")
    parser.add_argument("--minutes", type=float, default=30.0, help="of training, each kind")
    parser.add_argument("--groups", type=int, default=36, help="of eight pictures a setting")
    parser.add_argument("--guidance", type=float, default=PARAMS.guidance_scale, help="scale")
    parser.add_argument("--text-too", action="store_true", help="text sees references, too (sd3)")
    parser.add_argument("--places", choices=PLACES, default="right", help="of references (flux)")
    parser.add_argument("--folder", type=Path, default=Path(".demo_training/transformers"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--smoke", action="store_true", help="seconds of training, one group")
    return parser


if __name__ == "__main__":
    main()
