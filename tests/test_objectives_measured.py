"""Ready-made objectives without networks: known values and properties."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from fabricbo import ObjectiveError
from fabricbo.demo import references_folder
from fabricbo.testing import check_objective, pictures
from objectives.burnt import clipping, saturation, sharpness
from objectives.colour import brightness, colourfulness
from objectives.diversity import Diversity, Vendi, vendi_score
from objectives.embedder import load_embedder
from objectives.target_colours import HistogramSimilarity, PaletteDistance, oklab


def plain(colour: str | tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new("RGB", size, colour)


@pytest.fixture
def target(tmp_path) -> str:
    halves = plain("red", (16, 8))
    halves.paste(plain("blue"), (8, 0))
    halves.save(tmp_path / "target.png")
    return str(tmp_path / "target.png")


@pytest.mark.parametrize(
    "measure",
    [sharpness, saturation, clipping, colourfulness, brightness],
    ids=lambda m: m.__name__,
)
def test_keep_the_contract(measure) -> None:
    check_objective(measure)


# Burnt images


def test_sharpness_falls_with_blur() -> None:
    image = Image.open(next(iter(sorted(references_folder().glob("*.png"))))).convert("RGB")
    blurred = [image.filter(ImageFilter.GaussianBlur(radius)) for radius in (0, 1, 2, 4)]
    values = sharpness(blurred, "")
    assert values == sorted(values, reverse=True)
    assert sharpness([plain("red")], "") == [0.0]


def test_sharpness_of_a_line_by_hand() -> None:
    image = plain("black", (3, 3))
    image.putpixel((1, 1), (255, 255, 255))
    laplacian = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]) * 255.0
    assert sharpness([image], "") == pytest.approx([laplacian.var()])


@pytest.mark.parametrize(
    ("colour", "expected"),
    [("black", 0.0), ("grey", 0.0), ("red", 1.0), ((200, 100, 150), 0.5)],
)
def test_saturation(colour, expected: float) -> None:
    assert saturation([plain(colour)], "") == pytest.approx([expected])


def test_clipping_counts_pixels_with_a_channel_at_its_end() -> None:
    image = plain((100, 100, 100), (2, 2))
    image.putpixel((0, 0), (255, 10, 10))
    assert clipping([image, plain("white"), plain((1, 254, 9))], "") == [0.25, 1.0, 0.0]


# Colours of a target


def test_histogram_similarity_is_the_shared_share(target: str) -> None:
    measure = HistogramSimilarity(target)
    check_objective(measure)
    both = Image.open(target)
    assert measure([both, plain("red"), plain("lime")], "") == pytest.approx([1.0, 0.5, 0.0])


def test_several_targets_count_by_their_mean(tmp_path) -> None:
    for colour in ("red", "lime"):
        plain(colour).save(tmp_path / f"{colour}.png")
    assert HistogramSimilarity(str(tmp_path))([plain("red")], "") == pytest.approx([0.5])
    apart = math.dist(*(oklab(np.array([c], float))[0] for c in ((255, 0, 0), (0, 255, 0))))
    assert PaletteDistance(str(tmp_path))([plain("red")], "") == pytest.approx([apart / 2])


def test_oklab_of_known_colours() -> None:
    """Values of the colours of CSS, from the CSS Color 4 specification, section 9."""
    known = {(255, 255, 255): (1, 0, 0), (0, 0, 0): (0, 0, 0), (255, 0, 0): (0.628, 0.225, 0.126)}
    found = oklab(np.array(list(known), dtype=float))
    assert found == pytest.approx(np.array(list(known.values())), abs=1e-3)


def test_palette_distance_moves_half_of_the_pixels(target: str) -> None:
    measure = PaletteDistance(target)
    check_objective(measure)
    red, blue = (oklab(np.array([c], float))[0] for c in ((255, 0, 0), (0, 0, 255)))
    found = measure([Image.open(target), plain("red")], "")
    assert found == pytest.approx([0, math.dist(red, blue) / 2], abs=1e-6)
    near, far = measure([plain((230, 20, 20)), plain("lime")], "")
    assert near < far


@pytest.mark.parametrize("colours", [0, 33, 2.5, True])
def test_number_of_colours_is_checked(target: str, colours) -> None:
    with pytest.raises(ObjectiveError, match="colours must be a whole number from 1 to 32"):
        PaletteDistance(target, colours)


def test_target_that_is_not_there(tmp_path) -> None:
    for made in (HistogramSimilarity, PaletteDistance):
        with pytest.raises(ObjectiveError, match="target: "):
            made(str(tmp_path / "none.png"))
        with pytest.raises(ObjectiveError, match="has no images"):
            made(str(tmp_path))


# Diversity


def test_diversity_is_one_minus_the_mean_of_the_pairs() -> None:
    images = pictures()
    vectors = load_embedder("demo").images(images)
    pairs = [float(vectors[i] @ vectors[j]) for i in range(4) for j in range(i)]
    assert Diversity()(images, "") == pytest.approx([1 - np.mean(pairs)], abs=1e-6)
    assert Diversity()([images[0]] * 3, "") == pytest.approx([0], abs=1e-6)
    check_objective(Diversity())
    with pytest.raises(ObjectiveError, match="at least two images"):
        Diversity()(images[:1], "")


def test_vendi_score_of_the_documentation() -> None:
    """2.9999, cut off, from the README of its authors (github.com/vertaix/Vendi-Score)."""
    samples = torch.tensor([0.0, 0, 10, 10, 20, 20])
    similarity = torch.exp(-(samples[:, None] - samples[None]).abs())
    assert math.floor(vendi_score(similarity) * 1e4) == 29999
    shares = np.linalg.eigvalsh(similarity.double().numpy() / 6)
    shares = shares[shares > 1e-12]
    assert vendi_score(similarity) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_vendi_counts_equal_images_once() -> None:
    images = pictures()
    assert Vendi()([images[0]] * 4, "") == pytest.approx([1], abs=1e-4)
    assert 1 < Vendi()(images, "")[0] <= 4
    check_objective(Vendi())
