"""Values: checked once, plain to store, known by what they are."""

import dataclasses
import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fabricbo.records import (
    OPTIONAL,
    PARAMETER_NAMES,
    Action,
    FabricParams,
    Reference,
    Role,
    Trial,
    TrialStatus,
    strength_text,
)
from fabricbo.scores import MAX_SCORE, Score
from tests.tiny import reference

RED, BLUE, GREEN = reference("red"), reference("blue"), reference("green")
WEIGHTS = (
    "min_weight",
    "max_weight",
    "neg_scale",
    "pos_bottleneck_scale",
    "neg_bottleneck_scale",
    "guidance_scale",
)


@st.composite
def params(draw: st.DrawFn) -> FabricParams:
    start, end = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    weights = {name: draw(st.floats(0, 1e300)) for name in WEIGHTS}
    return FabricParams(
        feedback_start=start,
        feedback_end=end,
        **weights,
        denoising_steps=draw(st.integers(1, 1000)),
        prompt_dropout=draw(st.floats(0, 1, exclude_max=True)),
        **{name: draw(st.floats(0, 1)) for name in OPTIONAL},
    )


@given(params())
def test_params_round_trip_through_json(value: FabricParams) -> None:
    assert FabricParams.from_json(json.loads(json.dumps(value.to_json()))) == value


def test_optional_settings_are_written_where_they_are_on() -> None:
    """What earlier versions stored, and its hash, is what is stored now."""
    assert FabricParams().to_json().keys() == set(PARAMETER_NAMES) - set(OPTIONAL)
    for name in OPTIONAL:
        assert FabricParams(**{name: 0.5}).to_json()[name] == 0.5


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_settings_have_ranges(name: str) -> None:
    for wrong in (-0.1, math.inf, math.nan, "much"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            FabricParams(**{name: wrong})


def test_defaults_are_the_classic_hand_settings() -> None:
    hand = FabricParams()
    assert (hand.feedback_start, hand.feedback_end) == (0.0, 0.8)
    assert (hand.min_weight, hand.max_weight, hand.neg_scale) == (0.0, 0.8, 0.5)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(
    ("value", "allowed"),
    [(-0.1, "at least 0, got -0.1"), (math.nan, "finite"), (math.inf, "finite"), (-math.inf, "")],
    ids=["negative", "nan", "inf", "minus inf"],
)
def test_weight_out_of_range_is_named(name: str, value: float, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .*{allowed}"):
        FabricParams(**{name: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("feedback_start", 1.5, r"feedback_start must be in \[0, 1\], got 1.5"),
        ("feedback_end", -0.5, r"feedback_end must be in \[0, 1\], got -0.5"),
        ("feedback_end", math.nan, "feedback_end must be finite, got nan"),
        ("denoising_steps", 0, r"denoising_steps must be in \[1, 1000\], got 0"),
        ("denoising_steps", 1001, r"denoising_steps must be in \[1, 1000\], got 1001"),
        ("denoising_steps", 20.5, "denoising_steps must be a whole number, got 20.5"),
        ("prompt_dropout", 1.0, "prompt_dropout must be below 1, got 1.0"),
        ("prompt_dropout", 1.1, r"prompt_dropout must be in \[0, 1\], got 1.1"),
        ("max_weight", "0.8", "max_weight must be a number, got '0.8'"),
        ("max_weight", None, "max_weight must be a number, got None"),
        ("max_weight", True, "max_weight must be a number, got True"),
        ("max_weight", 10**400, "max_weight must be finite, got 1000"),
    ],
)
def test_bad_field_is_named_with_what_came_and_what_is_allowed(field, value, message) -> None:
    with pytest.raises(ValueError, match=message):
        FabricParams(**{field: value})


def test_reversed_window_is_refused() -> None:
    expected = r"feedback_start must not exceed feedback_end, got 0.7 > 0.4"
    with pytest.raises(ValueError, match=expected):
        FabricParams(feedback_start=0.7, feedback_end=0.4)


def test_window_of_one_point_is_allowed() -> None:
    assert FabricParams(feedback_start=0.4, feedback_end=0.4).feedback_end == 0.4


def test_whole_number_of_steps_may_come_as_a_float() -> None:
    steps = FabricParams(denoising_steps=20.0).denoising_steps
    assert (steps, type(steps)) == (20, int)


def test_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown parameter 'strength'; known are feedback_start"):
        FabricParams.from_json({"strength": 1.0})


def test_parameter_names_are_the_fields_in_order() -> None:
    assert [field.name for field in dataclasses.fields(FabricParams)] == list(PARAMETER_NAMES)


def test_values_are_frozen() -> None:
    for value in (FabricParams(), RED, Action(), Score((1.0,))):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)


def test_a_reference_is_its_pixels_not_its_name() -> None:
    renamed = Reference(RED.id, "other", Image.new("RGB", (1, 1)), Role.DISLIKED)
    assert renamed == RED
    assert hash(renamed) == hash(RED)
    assert RED != BLUE


@pytest.mark.parametrize(
    ("liked", "disliked"),
    [((RED, RED), ()), ((), (RED, RED)), ((RED,), (BLUE, RED))],
    ids=["liked twice", "disliked twice", "both"],
)
def test_a_reference_has_one_role(liked, disliked) -> None:
    with pytest.raises(ValueError, match="once"):
        Action(liked=liked, disliked=disliked)


def test_role_of_a_reference() -> None:
    action = Action(liked=(RED,), disliked=(BLUE,))
    roles = [action.role(item) for item in (RED, BLUE, GREEN)]
    assert roles == [Role.LIKED, Role.DISLIKED, Role.UNUSED]


@given(params(), st.permutations([RED, BLUE, GREEN]), st.integers(0, 3), st.integers(0, 3))
def test_action_round_trips_through_json(settings, order, first, second) -> None:
    low, high = sorted((first, second))
    action = Action(settings, tuple(order[:low]), tuple(order[low:high]))
    data = json.loads(json.dumps(action.to_json()))
    assert Action.from_json(data, [BLUE, GREEN, RED]) == action


strengths = st.floats(0, exclude_min=True, allow_infinity=False) | st.integers(1, 3)


@given(st.permutations([RED, BLUE, GREEN]), st.integers(0, 3), st.lists(strengths, max_size=3))
def test_strengths_round_trip_through_json(order, liked, values) -> None:
    given = dict(zip((r.id for r in order), values, strict=False))
    action = Action(liked=tuple(order[:liked]), disliked=tuple(order[liked:]), strengths=given)
    data = json.loads(json.dumps(action.to_json()))
    assert Action.from_json(data, [BLUE, GREEN, RED]) == action
    assert [action.strength(reference) for reference in order] == [
        given.get(reference.id, 1.0) for reference in order
    ]
    assert ("strengths" in data) == any(value != 1 for value in values)


def test_strength_one_is_not_there() -> None:
    plain = Action(liked=(RED,), disliked=(BLUE,))
    one = Action(liked=(RED,), disliked=(BLUE,), strengths={RED.id: 1, BLUE.id: 1.0})
    assert (one, hash(one), one.to_json()) == (plain, hash(plain), plain.to_json())
    assert plain.to_json().keys() == {"params", "liked", "disliked"}
    two = Action(liked=(RED,), disliked=(BLUE,), strengths={BLUE.id: 2, RED.id: 0.5})
    other = Action(liked=(RED,), disliked=(BLUE,), strengths={RED.id: 0.5, BLUE.id: 2.0})
    assert two == other != plain
    assert len({plain, one, two, other}) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({RED.id: 0.0}, "a strength must be finite and above 0, got 0"),
        ({RED.id: -1}, "a strength must be finite and above 0, got -1"),
        ({RED.id: math.inf}, "a strength must be finite and above 0, got inf"),
        ({RED.id: math.nan}, "a strength must be finite and above 0, got nan"),
        ({RED.id: "2"}, "a strength must be a number, got '2'"),
        ({RED.id: True}, "a strength must be a number, got True"),
        ({BLUE.id: 2.0}, f"of references that are used, got one of {BLUE.id}"),
        ({BLUE.id: 1.0}, f"of references that are used, got one of {BLUE.id}"),
    ],
    ids=["zero", "negative", "infinite", "nan", "text", "truth", "unused", "unused one"],
)
def test_bad_strengths_are_refused(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        Action(liked=(RED,), strengths=given)


def test_strengths_are_written_so_that_they_can_be_read_back() -> None:
    assert [strength_text(value) for value in (1.0, 2.0, 0.5)] == ["", "x2", "x0.5"]
    assert float(strength_text(1 / 3).removeprefix("x")) == 1 / 3


def test_action_with_a_reference_outside_the_pool_is_refused() -> None:
    data = Action(liked=(RED,)).to_json()
    with pytest.raises(ValueError, match=f"the pool has no reference {RED.id}"):
        Action.from_json(data, [BLUE])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=10))
def test_score_has_mean_and_standard_error(values: list[float]) -> None:
    score = Score(tuple(values))
    expected = statistics.stdev(values) / math.sqrt(len(values))
    assert score.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert score.standard_error == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(st.lists(st.floats(-MAX_SCORE, MAX_SCORE), min_size=2, max_size=64))
def test_score_of_any_size_has_a_finite_standard_error(values: list[float]) -> None:
    error = Score(tuple(values)).standard_error
    assert error is not None
    assert 0 <= error <= 2 * MAX_SCORE


def test_single_score_has_no_standard_error() -> None:
    assert Score((0.5,)).standard_error is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "at least one value"),
        ((0.1, math.nan), "finite, got nan"),
        ((math.inf,), "finite, got inf"),
        ((0.0, -1e151), r"at most 1e\+150 in size, got -1e\+151"),
        ((10**400,), "finite"),
    ],
    ids=["none", "nan", "inf", "huge", "beyond floats"],
)
def test_bad_score_is_refused(values, message) -> None:
    with pytest.raises(ValueError, match=message):
        Score(values)


def test_trial_starts_pending() -> None:
    trial = Trial(0, 1, Action(), "hand", (1, 2))
    assert trial.status is TrialStatus.PROPOSED
    assert trial.score is None
