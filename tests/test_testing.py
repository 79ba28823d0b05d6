"""`check_objective` finds what breaks the contract."""

import itertools

import pytest
from PIL import Image

from fabricbo import ObjectiveError, objective
from fabricbo.testing import check_objective, pictures


def red(images, prompt):
    return [image.convert("RGB").getpixel((9, 9))[0] for image in images]


def test_a_good_one_passes() -> None:
    check_objective(red)
    check_objective(red, images=[Image.new("RGB", (12, 12), colour) for colour in ("red", "blue")])


def test_pictures_differ() -> None:
    shown = pictures()
    assert len({image.tobytes() for image in shown}) == len(shown) == 4
    assert [image.tobytes() for image in pictures()] == [image.tobytes() for image in shown]


_clock = itertools.count()


def unsteady(images, prompt):
    return [float(next(_clock)) for _ in images]


def by_place(images, prompt):
    return [float(k) for k in range(len(images))]


def by_batch(images, prompt):
    values = red(images, prompt)
    return [value - sum(values) / len(values) for value in values]


@objective(per="batch")
def first_only(images, prompt):
    return red(images[:1], prompt)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (unsteady, "asked twice"),
        (by_place, "turned round"),
        (by_batch, "one image at a time"),
        (first_only, "turned round"),
    ],
    ids=["random", "order", "batch", "batch order"],
)
def test_what_is_not_kept_is_named(broken, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_objective(broken)


def test_relative_scores_may_say_so() -> None:
    check_objective(by_batch, batch_invariant=False)


def only_rgb(images, prompt):
    return [float(image.getpixel((9, 9))[0]) for image in images]


def one_size(images, prompt):
    assert all(image.size == (48, 64) for image in images)
    return red(images, prompt)


def too_few(images, prompt):
    return red(images, prompt)[:-1]


def not_a_number(images, prompt):
    return [float("nan")] * len(images)


@pytest.mark.parametrize("broken", [only_rgb, one_size, too_few, not_a_number])
def test_no_scores_are_errors(broken) -> None:
    with pytest.raises(ObjectiveError, match=broken.__name__):
        check_objective(broken)


def test_one_image_is_not_enough() -> None:
    with pytest.raises(ValueError, match="at least two images"):
        check_objective(red, images=pictures()[:1])
