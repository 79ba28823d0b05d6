"""A CLIP tokenizer whose vocabulary holds every caption word as one token."""

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.demo_data import every_combination

LENGTH = 16
_PIECES = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")  # as CLIP splits lower-case English


def new_tokenizer(folder: Path) -> Any:
    """Write vocabulary and merges to a folder and open them as a tokenizer."""
    from transformers import CLIPTokenizer

    words = sorted({p for a in every_combination() for p in _PIECES.findall(a.caption())})
    merges = learn_merges(words)
    alphabet = [chr(code) for code in range(33, 127)]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    tokens += ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=LENGTH
    )


def learn_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Add merges until every word is one token.

    A merge added later has the lowest priority, so it cannot change words that are whole.
    """
    merges: list[tuple[str, str]] = []
    for word in words:
        symbols = _apply([*word[:-1], word[-1] + "</w>"], merges)
        while len(symbols) > 1:
            merges.append((symbols[0], symbols[1]))
            symbols = _apply([*word[:-1], word[-1] + "</w>"], merges)
    return merges


def _apply(symbols: list[str], merges: list[tuple[str, str]]) -> list[str]:
    """Apply merges by priority, as byte-pair encoding does."""
    rank = {pair: index for index, pair in enumerate(merges)}
    while True:
        pairs = [(rank[p], i) for i, p in enumerate(itertools.pairwise(symbols)) if p in rank]
        if not pairs:
            return symbols
        best = min(pairs)[0]
        merged, index = [], 0
        while index < len(symbols):
            if tuple(symbols[index : index + 2]) == merges[best]:
                merged.append(symbols[index] + symbols[index + 1])
                index += 2
            else:
                merged.append(symbols[index])
                index += 1
        symbols = merged
