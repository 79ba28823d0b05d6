"""Borders of rounds: seeds and growth are pure functions of what is stored."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.records import Action, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score
from fabricbo.study.rounds import (
    Growth,
    growth,
    growth_by_preferences,
    heldout_seeds,
    round_seeds,
)

SEEDS = st.integers(0, 2**32 - 1)


def trial(index: int, values: tuple[float, ...], images: str) -> Trial:
    """Make a done trial; each letter is an image."""
    score = Score(values) if values else None
    status = TrialStatus.DONE if values else TrialStatus.FAILED
    return Trial(index, 1, Action(), "sobol", (1,), status, score, tuple(images))


@given(SEEDS, st.integers(1, 1000), st.integers(1, 64))
def test_seeds_of_a_round_are_different_and_repeat(seed: int, index: int, images: int) -> None:
    seeds = round_seeds(seed, index, images)
    assert seeds == round_seeds(seed, index, images)
    assert len(set(seeds)) == images
    assert all(0 <= s < 2**32 for s in seeds)


@given(SEEDS, st.integers(1, 100))
def test_rounds_and_studies_have_seeds_of_their_own(seed: int, index: int) -> None:
    seeds = round_seeds(seed, index, 4)
    assert seeds != round_seeds(seed, index + 1, 4)
    assert seeds != round_seeds((seed + 1) % 2**32, index, 4)


def test_seeds_stay_what_they_are() -> None:
    # A study that was started with an earlier version must go on with the same seeds.
    assert round_seeds(0, 1, 3) == (581427687, 1947459509, 2527698140)
    assert heldout_seeds(0, 4, 4, 2) == (1826117536, 910526403)


@given(SEEDS, st.integers(1, 20), st.integers(1, 16), st.integers(1, 32))
def test_heldout_seeds_are_new(seed: int, rounds: int, images: int, count: int) -> None:
    held_out = heldout_seeds(seed, rounds, images, count)
    seen = {s for index in range(1, rounds + 1) for s in round_seeds(seed, index, images)}
    assert len(set(held_out)) == count
    assert seen.isdisjoint(held_out)


def test_heldout_seeds_avoid_a_collision(monkeypatch) -> None:
    monkeypatch.setattr(
        "fabricbo.study.rounds._seeds",
        lambda name, count: tuple(range(count)) if "held" in name else (1, 3),
    )
    assert heldout_seeds(0, 1, 2, 3) == (0, 2, 4)


TRIALS = (trial(0, (0.1, 0.9), "ab"), trial(1, (0.5, 0.3), "cd"))


@pytest.mark.parametrize(
    ("direction", "liked", "disliked", "expected"),
    [
        ("maximize", 1, 1, (("b",), ("a",))),
        ("minimize", 1, 1, (("a",), ("b",))),
        ("maximize", 2, 2, (("b", "c"), ("a", "d"))),
        ("maximize", 0, 2, ((), ("a", "d"))),
        ("maximize", 3, 3, (("b", "c", "d"), ("a",))),
        ("maximize", 9, 9, (("b", "c", "d", "a"), ())),
        ("maximize", 0, 0, ((), ())),
    ],
)
def test_best_and_worst_images_are_chosen(direction, liked, disliked, expected) -> None:
    assert growth(TRIALS, (Measure("x", direction),), liked, disliked) == Growth(*expected)


def test_failed_and_empty_trials_give_no_images() -> None:
    trials = [trial(0, (), "a"), trial(1, (0.5,), "")]
    assert growth(trials, (Measure("x"),), 2, 2) == Growth((), ())


def test_one_number_for_a_batch_stands_for_its_first_image() -> None:
    trials = [trial(0, (0.1,), "ab"), trial(1, (0.9,), "cd")]
    assert growth(trials, (Measure("x"),), 1, 1) == Growth(("c",), ("a",))


def test_equal_scores_keep_the_order_of_trials() -> None:
    trials = [trial(0, (0.5, 0.5), "ab"), trial(1, (0.5,), "c")]
    assert growth(trials, (Measure("x"),), 1, 1) == Growth(("a",), ("c",))


def test_images_of_trials_that_keep_the_bounds_come_first() -> None:
    measures = (Measure("x"), Measure("nsfw", at_most=0.1))
    outcomes = ((0.1, 0.9, 0.0), (0.5, 0.6, 0.0), (0.99, 0.98, 1.0))
    trials = [
        replace(trial(i, (a, b), images), further=(Score((nsfw,)),))
        for i, ((a, b, nsfw), images) in enumerate(zip(outcomes, ("ab", "cd", "ef"), strict=True))
    ]
    assert growth(trials, measures, 2, 3) == Growth(("b", "d"), ("f", "e", "a"))
    assert growth(trials[2:], measures, 1, 0) == Growth(("e",), ())


def test_where_nobody_voted_preferences_choose() -> None:
    trials = [trial(i, (), images) for i, images in enumerate(("ab", "cd", "ef", "gh", "ij"))]
    said = [Preference(1, 0), Preference(1, 2), Preference(0, 2), Preference(3, 4, tie=True)]
    assert growth_by_preferences(trials, (Measure("x"),), said, 2, 2) == Growth(("c",), ("e",))
    assert growth_by_preferences(trials, (Measure("x"),), said, 0, 1) == Growth((), ("e",))
    assert growth_by_preferences(trials, (Measure("x"),), [], 2, 2) == Growth((), ())


def test_of_the_same_pixels_that_won_and_lost_only_the_liked_join() -> None:
    trials = [trial(i, (), images) for i, images in enumerate(("ab", "cd", "ad", "ef"))]
    said = [Preference(0, 1), Preference(1, 2), Preference(1, 3)]
    assert growth_by_preferences(trials, (Measure("x"),), said, 1, 2) == Growth(("a",), ("e",))


@given(
    st.lists(st.lists(st.tuples(st.floats(-1, 1), st.sampled_from("abcdefgh")), max_size=4)),
    st.sampled_from(["maximize", "minimize"]),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_an_image_is_chosen_once(rows, direction, liked, disliked) -> None:
    trials = [
        trial(i, tuple(v for v, _ in row), "".join(image for _, image in row))
        for i, row in enumerate(rows)
    ]
    chosen = growth(trials, (Measure("x", direction),), liked, disliked)
    both = (*chosen.liked, *chosen.disliked)
    assert len(set(both)) == len(both)
    assert len(chosen.liked) <= liked
    assert len(chosen.disliked) <= disliked
