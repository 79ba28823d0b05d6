"""The feedback schedule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.records import FabricParams
from fabricbo.sampler import schedule


@pytest.mark.parametrize(
    ("start", "end", "active"),
    [
        (0.0, 0.8, range(9)),
        (0.33, 0.66, range(3, 8)),
        (0.0, 0.0, range(1)),
        (0.5, 1.0, range(5, 10)),
        (1.0, 1.0, range(0)),
    ],
)
def test_window_includes_both_ends(start: float, end: float, active: range) -> None:
    params = FabricParams(feedback_start=start, feedback_end=end, min_weight=0.1, max_weight=0.9)
    weights = [schedule.feedback_weight(i, 10, params) for i in range(10)]
    assert weights == [0.9 if i in active else 0.1 for i in range(10)]


@pytest.mark.parametrize(
    ("start", "end", "ramp", "shares"),
    [
        (0.2, 0.6, 0.0, (1, 1, 1, 1, 1)),
        (0.2, 0.6, 0.5, (0.5, 1, 1, 1, 0.5)),
        (0.2, 0.6, 1.0, (1 / 3, 2 / 3, 1, 2 / 3, 1 / 3)),
        (0.0, 0.4, 1.0, (1, 0.8, 0.6, 0.4, 0.2)),
        (0.6, 1.0, 1.0, (0.25, 0.5, 0.75, 1)),
        (0.0, 1.0, 1.0, (1,) * 10),
        (0.4, 0.4, 1.0, (1,)),
    ],
    ids=["off", "half", "all", "only falls", "only rises", "no end", "one step"],
)
def test_a_ramp_rises_and_falls_inside_the_window(
    start: float, end: float, ramp: float, shares: tuple[float, ...]
) -> None:
    params = FabricParams(
        feedback_start=start, feedback_end=end, min_weight=0.1, max_weight=0.9, ramp=ramp
    )
    assert params.shares(10) == pytest.approx(shares)
    window = params.window(10)
    weights = [schedule.feedback_weight(i, 10, params) for i in range(10)]
    assert [weights[i] for i in window] == pytest.approx([0.1 + 0.8 * share for share in shares])
    assert all(weights[i] == 0.1 for i in range(10) if i not in window)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(1, 60))
def test_a_ramp_leaves_the_window_as_long_as_it_is(
    one: float, other: float, ramp: float, steps: int
) -> None:
    start, end = sorted((one, other))
    params = FabricParams(feedback_start=start, feedback_end=end, ramp=ramp)
    shares = params.shares(steps)
    assert len(shares) == len(params.window(steps))
    assert all(0 < share <= 1 for share in shares)
    assert not shares or max(shares) > 0.6


def test_pairs_scale_disliked_and_bottleneck() -> None:
    params = FabricParams(neg_scale=0.5, pos_bottleneck_scale=2.0, neg_bottleneck_scale=0.25)
    assert schedule.liked_pair(0.8, params) == (0.8, 1.6)
    assert schedule.disliked_pair(0.8, params) == (0.4, 0.1)


def test_levels_interpolate_from_outermost_to_bottleneck() -> None:
    assert schedule.level_weights((0.8, 0.4), 4) == pytest.approx((0.8, 0.7, 0.6, 0.5, 0.4))


@pytest.mark.parametrize(
    ("levels", "middle", "weights"),
    [
        (4, 0.0, (0.8, 0.35, 0.0, 0.25, 0.4)),
        (4, 2.0, (0.8, 1.05, 1.2, 0.75, 0.4)),
        (2, 0.5, (0.8, 0.3, 0.4)),
        (1, 0.0, (0.8, 0.4)),
    ],
)
def test_the_middle_has_a_scale_of_its_own(levels, middle, weights) -> None:
    assert schedule.level_weights((0.8, 0.4), levels, middle) == pytest.approx(weights)


@given(st.floats(0, 2), st.floats(0, 2), st.integers(1, 6))
def test_level_weights_stay_between_the_pair(outer: float, inner: float, levels: int) -> None:
    weights = schedule.level_weights((outer, inner), levels)
    assert len(weights) == levels + 1
    low, high = sorted((outer, inner))
    assert all(low - 1e-9 <= w <= high + 1e-9 for w in weights)
