"""The training pictures and their captions; drawn from stand-in shapes, without a network."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import demo_data
from experiments.demo_data import (
    BACKGROUNDS,
    CONCEPTS,
    SOURCES,
    STYLES,
    Attributes,
    bundled_pictures,
    compose,
    every_combination,
    random_caption,
)
from experiments.demo_styles import STYLE_SOURCES
from fabricbo.demo import references, references_folder

CAT = Attributes("cat", "sketch", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("icons")
    demo_data.stand_in_icons(path)
    return path


@pytest.fixture(scope="module")
def layers(folder: Path) -> dict[tuple[str, str], Image.Image]:
    return demo_data.draw_layers(folder)


def test_captions_name_everything_in_one_order() -> None:
    assert CAT.caption() == "a cat on a blue background, sketch style"
    assert Attributes("apple", "3d", "red").caption().startswith("an apple on a red background")


def test_style_and_background_are_left_out_half_of_the_time_and_all_one_time_in_ten() -> None:
    rng = random.Random(0)
    counts = Counter(random_caption(CAT, rng) for _ in range(8000))
    shares = {caption: count / 8000 for caption, count in counts.items()}
    assert shares.pop("") == pytest.approx(0.1, abs=0.02)
    assert set(shares) == {
        "a cat",
        "a cat on a blue background",
        "a cat, sketch style",
        "a cat on a blue background, sketch style",
    }
    assert all(share == pytest.approx(0.225, abs=0.03) for share in shares.values())


def test_every_concept_is_drawn_in_every_style(
    layers: dict[tuple[str, str], Image.Image],
) -> None:
    assert set(layers) == {(c, s) for c in CONCEPTS for s in STYLES}
    assert all(layer.mode == "RGBA" and layer.getbbox() for layer in layers.values())


def test_a_picture_without_jitter_has_exactly_its_background(
    layers: dict[tuple[str, str], Image.Image],
) -> None:
    picture = compose(layers["cat", "sketch"], CAT, random.Random(0), jitter=False)
    assert picture.size == (64, 64)
    assert picture.getpixel((0, 0)) == BACKGROUNDS["blue"]


def test_the_same_seed_draws_the_same_pictures(folder: Path) -> None:
    runs = [list(demo_data.pictures(folder, 12, seed=3)) for _ in range(2)]
    assert [shown for shown, _ in runs[0]] == [shown for shown, _ in runs[1]]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(*runs, strict=True))


def test_a_full_set_has_every_combination_equally_often(folder: Path) -> None:
    combinations = every_combination()
    drawn = Counter(shown for shown, _ in demo_data.pictures(folder, len(combinations), seed=0))
    assert drawn == Counter(combinations)


def test_bundled_references_say_what_they_show_and_whose_they_are() -> None:
    rows = references()
    names = {
        f"{folder}/{name}.png" for folder, files in bundled_pictures().items() for name in files
    }
    assert {str(row.path.relative_to(references_folder().parent)) for row in rows} == names
    for row in rows:
        assert Image.open(row.path).size == (64, 64)
        assert row.path.stem == f"{row.concept}-{row.style}-{row.background}"
        assert row.licence == SOURCES[STYLE_SOURCES[row.style]]["licence"]
