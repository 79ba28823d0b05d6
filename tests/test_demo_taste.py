"""The written taste, and the pairs that the preference scorer learns it from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.demo_data import BACKGROUNDS, CONCEPTS, STYLES, Attributes
from experiments.demo_training.dataset import Pictures
from experiments.demo_training.taste import (
    BACKGROUND_TASTE,
    PROMPT_TASTE,
    SHARPNESS_TASTE,
    STYLE_TASTE,
    agreement,
    blurred,
    draw_pairs,
    matching,
    taste,
)

CAT = Attributes("cat", "gold", "blue")


@pytest.fixture
def pictures() -> Pictures:
    rng = np.random.default_rng(0)
    attributes = [Attributes(c, s, b) for c in CONCEPTS[:5] for s in STYLES for b in BACKGROUNDS]
    return Pictures(rng.integers(0, 256, (len(attributes), 64, 64, 3), dtype=np.uint8), attributes)


def test_taste_knows_every_style_and_background() -> None:
    assert set(STYLE_TASTE) == set(STYLES)
    assert set(BACKGROUND_TASTE) == set(BACKGROUNDS)


def test_taste_is_a_sum_of_what_is_liked() -> None:
    best = taste(CAT, 1.0, "cat")
    assert best - taste(CAT, 0.0, "cat") == pytest.approx(SHARPNESS_TASTE)
    assert best - taste(CAT, 1.0, "dog") == pytest.approx(PROMPT_TASTE)
    pixel = Attributes("cat", "pixel", "blue")
    assert best - taste(pixel, 1.0, "cat") == pytest.approx(STYLE_TASTE["gold"])


def test_blur_mixes_from_nothing_to_all() -> None:
    images = torch.rand(3, 3, 64, 64)
    mixed = blurred(images, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(mixed[0], images[0])
    spread = mixed.std(dim=(1, 2, 3))
    assert spread[0] > spread[1] > spread[2]
    assert torch.allclose(blurred(torch.ones(1, 3, 64, 64), torch.ones(1)), torch.ones(1))


def test_pairs_are_drawn_from_a_generator_and_half_show_the_same(pictures: Pictures) -> None:
    pairs, again = (draw_pairs(pictures, 400, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(pairs.images, again.images)
    assert pairs.images.shape == (2, 400, 3, 64, 64)
    # Without the object of the prompt a picture cannot reach what the best of the others lack.
    other = draw_pairs(pictures, 400, torch.Generator().manual_seed(4))
    assert not torch.equal(pairs.tastes, other.tastes)
    assert (pairs.tastes[0] >= PROMPT_TASTE).all()
    shows = (pairs.tastes[1] >= PROMPT_TASTE).float().mean()
    assert 0.5 < shows < 0.95


class Oracle:
    """Embeds as somebody who sees what the pixels were made to say."""

    def __init__(self, sign: float) -> None:
        self.sign = sign

    def get_image_features(self, pixel_values: torch.Tensor):
        angle = self.sign * pixel_values[:, 0, 0, 0]
        return Output(torch.stack((angle.cos(), angle.sin()), -1))

    def get_text_features(self, input_ids: torch.Tensor):
        return Output(torch.tensor([[0.0, 1.0]]).repeat(len(input_ids), 1))


class Output:
    def __init__(self, pooler_output: torch.Tensor) -> None:
        self.pooler_output = pooler_output


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, 0.0)])
def test_agreement_counts_pairs_ordered_as_the_taste_orders_them(
    pictures: Pictures, tmp_path: Path, monkeypatch, sign: float, expected: float
) -> None:
    from experiments.demo_training import taste as module
    from experiments.demo_training.tokens import new_tokenizer

    def telling(*arguments):
        pairs = draw_pairs(*arguments)
        pairs.images[:, :, 0, 0, 0] = pairs.tastes / 10
        return pairs

    monkeypatch.setattr(module, "draw_pairs", telling)
    share = agreement(Oracle(sign), pictures, new_tokenizer(tmp_path), count=200)
    assert share == pytest.approx(expected, abs=0.01)


def test_equal_prompts_share_what_matches() -> None:
    tokens = torch.tensor([[1, 2], [1, 2], [3, 4]])
    certain = torch.tensor([[50.0, 50.0, 0.0], [50.0, 50.0, 0.0], [0.0, 0.0, 50.0]])
    assert matching(certain, tokens).item() == pytest.approx(2 / 3 * np.log(2), abs=1e-4)
