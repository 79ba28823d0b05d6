"""Prompt dropout: leaving out words at random, so that feedback does not make all images alike.

The FABRIC paper's answer to collapse of diversity (section 5); its authors drop words of the
prompt independently for each image. Here the draw comes from the image's own seed.
"""

import random


def drop_words(prompt: str, probability: float, seed: int) -> str:
    """Leave out each word with `probability`; when none is left, keep one, so never empty.

    Args:
        probability: in [0, 1).
        seed: of the image; the same seed drops the same words.
    """
    words = prompt.split()
    if probability == 0 or not words:
        return prompt
    rng = random.Random(f"prompt dropout {seed}")  # no secret
    kept = [word for word in words if rng.random() >= probability]
    return " ".join(kept or [rng.choice(words)])
