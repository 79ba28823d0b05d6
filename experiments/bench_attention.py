"""Which form of the weighted attention is fastest: `masked`, `widened` or `merged`, side by side.

    python -m experiments.bench_attention
    python -m experiments.bench_attention --smoke

Shapes are those of Stable Diffusion 1.5's self-attentions; the results of all forms are compared
first. `fabricbo.sampler.attention.best_form` holds what came out of it.
"""

import argparse
from typing import get_args

import torch

from experiments.sampler_speed.cost import side_by_side
from fabricbo.sampler.attention import Form, ReferenceTokens, weighted_attention

FORMS: tuple[Form, ...] = get_args(Form)
LEVELS = {32: ((1024, 40), (256, 80), (64, 160)), 64: ((4096, 40), (1024, 80), (256, 160))}
"""Tokens and channels of a head by the side of the latents, the outermost level first."""
HEADS = 8


def seconds(
    tokens: int, channels: int, references: int, images: int, rounds: int, device: str
) -> dict[str, float]:
    """Return the median seconds of each form, after a look at their results."""
    generator = torch.Generator().manual_seed(0)

    def drawn(rows: int) -> torch.Tensor:
        found = torch.randn(rows, HEADS, tokens, channels, generator=generator)
        return found.to(device, torch.float32 if device == "cpu" else torch.float16)

    query, key, value = drawn(images), drawn(images), drawn(images)
    given = [ReferenceTokens(drawn(1), drawn(1), 0.8) for _ in range(references)]
    ways = {f: lambda f=f: weighted_attention(query, key, value, given, f) for f in FORMS}
    first = ways[FORMS[0]]()
    for way in ways.values():
        torch.testing.assert_close(way(), first, rtol=1e-2, atol=1e-5 if device == "cpu" else 1e-2)
    return side_by_side(ways, rounds)


def main() -> None:
    """Print a table in Markdown: seconds of the first form, the others by it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="one small cell, one round")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = (
        [((64, 40), 1, 2)]
        if options.smoke
        else [
            (level, references, images)
            for side in LEVELS
            for level in LEVELS[side][:2]
            for references in (1, 4, 8)
            for images in (1, 4)
        ]
    )
    print(f"| tokens | channels | references | images | {' | '.join(FORMS)} |")
    print("|---" * (4 + len(FORMS)) + "|")
    for (tokens, channels), references, images in sizes:
        rounds = 1 if options.smoke else options.rounds
        found = seconds(tokens, channels, references, images, rounds, device)
        ratios = " | ".join(f"{found[form] / found['masked']:.2f} x" for form in FORMS[1:])
        print(
            f"| {tokens} | {channels} | {references} | {images} | {1e3 * found['masked']:.1f} ms "
            f"| {ratios} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
