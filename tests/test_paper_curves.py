"""Curves with intervals, and the directions that they are asked about."""

import csv
import random
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.paper.curves import (
    MEASURES,
    Interval,
    as_rows,
    bootstrap,
    centred_curve,
    curve,
    difference,
)
from experiments.paper.directions import DIRECTIONS, RIVALS, Direction, check, table
from experiments.paper.results import Outcome, RoundResult
from experiments.paper.systems import EQUAL_TO, HAND, SYSTEMS
from fabricbo.records import FabricParams


def test_bootstrap_agrees_with_an_independent_one() -> None:
    values = [random.Random(1).gauss(0, 1) + i / 20 for i in range(40)]
    found = bootstrap(values)
    rng = random.Random(7)
    means = sorted(statistics.fmean(rng.choices(values, k=40)) for _ in range(20_000))
    assert found.mean == pytest.approx(statistics.fmean(values))
    assert found.low == pytest.approx(means[500], abs=0.02)
    assert found.high == pytest.approx(means[19_500], abs=0.02)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    intervals = [bootstrap(rng.normal(1.0, 1.0, 60)) for _ in range(200)]
    covered = sum(i.low <= 1.0 <= i.high for i in intervals)
    assert 175 <= covered <= 199


@pytest.mark.parametrize("values", [[], np.zeros((2, 2))], ids=["none", "two dimensions"])
def test_bootstrap_refuses_what_is_no_list(values: Any) -> None:
    with pytest.raises(ValueError, match="one value a prompt"):
        bootstrap(values)


def outcome(system: str, task: int, shift: float) -> Outcome:
    noise = random.Random(task).random()
    rounds = tuple(
        RoundResult(
            scores=(noise, noise + shift * number),
            judged=(1.0, 2.0),
            liked=None if number == 0 else 0.5,
            disliked=None if number == 0 else 0.4,
            diversity=0.3 - 0.1 * number,
            evaluations=100 * (number + 1),
        )
        for number in range(2)
    )
    return Outcome(system, task, "key", rounds)


OUTCOMES = {
    name: [outcome(name, task, shift) for task in range(20)]
    for name, shift in (("sd", 0.0), ("fabric", 1.0))
}


def test_differences_are_taken_prompt_by_prompt() -> None:
    last = difference(OUTCOMES, "score", "fabric", "sd")[-1]
    assert last is not None
    assert (last.low, last.mean, last.high) == pytest.approx((0.5, 0.5, 0.5))
    assert curve(OUTCOMES["sd"], "liked")[0] is None


def test_centred_curves_keep_their_means_and_lose_the_spread_of_prompts() -> None:
    plain = curve(OUTCOMES["sd"], "score")
    centred = centred_curve(OUTCOMES, "score", "sd", "sd")
    for one, other in zip(plain, centred, strict=True):
        assert one is not None
        assert other is not None
        assert other.mean == pytest.approx(one.mean)
        assert other.high - other.low < 1e-9 < one.high - one.low
    assert centred_curve(OUTCOMES, "liked", "fabric", "sd")[0] is None
    assert centred_curve(OUTCOMES, "score", "sd", "none") == plain


def test_best_so_far_never_falls_and_is_judged_as_the_image_it_is() -> None:
    rounds = tuple(
        RoundResult(scores, judged, None, None, 0.0, 0)
        for scores, judged in (((1.0, 5.0), (0.1, 0.2)), ((2.0, 3.0), (0.3, 0.4)))
    )
    one = Outcome("sd", 0, "key", rounds)
    assert MEASURES["best"](one) == [5.0, 5.0]
    assert MEASURES["judge_best"](one) == [0.2, 0.2]


def test_rows_hold_every_measure_that_exists() -> None:
    rows = as_rows(OUTCOMES)
    assert {row["measure"] for row in rows} == set(MEASURES)
    assert all(row["prompts"] == 20 for row in rows)
    assert not any(row["measure"] == "liked" and row["round"] == 1 for row in rows)


@pytest.mark.parametrize(
    ("one", "other", "more", "answer"),
    [
        ("fabric", "sd", True, "yes"),
        ("fabric", "sd", False, "no"),
        ("sd", "sd", True, "not distinguishable"),
    ],
)
def test_directions_are_answered(one: str, other: str, more: bool, answer: str) -> None:
    (verdict,) = check(OUTCOMES, [Direction("claimed", "score", one, other, more=more)])
    assert (verdict.answer, verdict.round) == (answer, 2)
    assert f"| claimed | 2 | {verdict.difference} | {answer} |" in table([verdict])


def test_directions_name_systems_and_measures_that_exist() -> None:
    for direction in (*DIRECTIONS, *RIVALS):
        assert {direction.one, direction.other} <= set(SYSTEMS)
        assert direction.measure in MEASURES
    assert EQUAL_TO in SYSTEMS


def test_systems_differ_from_the_hand_settings_in_what_they_say() -> None:
    assert SYSTEMS["fabric"].params(HAND, None) == HAND
    assert SYSTEMS["fabric-dropout"].params(HAND, None).prompt_dropout == 0.3
    found = FabricParams(max_weight=1.2)
    assert SYSTEMS["fabric-found"].params(HAND, found) == found
    with pytest.raises(ValueError, match="needs settings that were found"):
        SYSTEMS["fabric-found"].params(HAND, None)


def test_interval_is_told_with_three_digits() -> None:
    assert str(Interval(0.12345, -0.1, 0.3)) == "0.123 (-0.100 to 0.300)"


def test_csv_can_be_read_by_others(tmp_path: Path) -> None:
    from experiments.paper.command import _write_csv

    _write_csv(OUTCOMES, tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["system", "measure", "round", "prompts", "mean", "low", "high"]
    assert len(rows) == len(as_rows(OUTCOMES))
    assert sys.float_info.max > float(rows[0]["mean"])
