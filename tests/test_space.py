"""The action space: every point of the unit cube is an action of it, and comes back."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.records import OPTIONAL, PARAMETER_NAMES, Action, FabricParams, Role
from fabricbo.space import DEFAULT_DOMAINS, MAX_POOL, ActionSpace, Choice, Range, role_choice
from tests.tiny import reference

COLORS = ("red", "blue", "green", "white", "black", "gold", "pink")
REFERENCES = tuple(
    reference(color, role=Role.DISLIKED if index % 3 == 2 else Role.LIKED)
    for index, color in enumerate(COLORS)
)
FRACTIONS = ("feedback_start", "feedback_end", "ramp", "rescale")
UPPER = {**dict.fromkeys(FRACTIONS, 1.0), "prompt_dropout": 0.99}
"""Largest values of the fractions; all others may be as large as one likes."""


def test_optional_settings_are_there_where_they_can_be_on() -> None:
    assert set(ActionSpace().settings) == set(PARAMETER_NAMES) - set(OPTIONAL)
    for name, off in OPTIONAL.items():
        on = FabricParams(**{name: 0.5})
        assert name in ActionSpace(hand=on).settings
        varying = ActionSpace({name: Range(0.25, 0.75)})
        assert name in varying.settings
        assert getattr(varying.hand, name) == off
        assert ActionSpace().contains(Action(), ())
        assert not ActionSpace().contains(Action(on), ())


def domains(name: str) -> st.SearchStrategy:
    """Make valid domains of a parameter, of every kind."""
    if name == "denoising_steps":
        value, positive = st.integers(1, 1000), st.integers(1, 1000)
    else:
        upper = UPPER.get(name, 100.0)
        value, positive = st.floats(0, upper), st.floats(1e-6, upper)
    return st.one_of(
        st.tuples(value, value).map(sorted).filter(_apart).map(lambda ends: Range(*ends)),
        st.tuples(positive, positive)
        .map(sorted)
        .filter(_apart)
        .map(lambda ends: Range(*ends, log=True)),
        st.lists(value, min_size=2, max_size=5, unique=True).map(tuple).map(Choice),
    )


def _apart(ends) -> bool:
    return ends[1] - ends[0] > 1e-6 * (1 + ends[1])


strengths = st.just({}) | st.lists(
    st.floats(1e-6, 1e6).filter(lambda value: value != 1), min_size=1, max_size=4, unique=True
).map(lambda others: {"strengths": (*others[1:], 1, others[0])})


@st.composite
def spaces(draw: st.DrawFn) -> ActionSpace:
    names = draw(st.sets(st.sampled_from(PARAMETER_NAMES)))
    chosen = {name: draw(domains(name)) for name in sorted(names)}
    start, end = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    try:
        return ActionSpace(
            chosen,
            FabricParams(feedback_start=start, feedback_end=end),
            roles=draw(st.booleans()),
            max_liked=draw(st.integers(0, 4)),
            max_disliked=draw(st.integers(0, 4)),
            **draw(strengths),
        )
    except ValueError as error:  # a window that can never be valid
        said = ("feedback_start must be able to stay below feedback_end", "let roles vary, too")
        assert str(error).startswith(said[0]) or str(error).endswith(said[1])
        return ActionSpace()


pools = st.lists(st.sampled_from(REFERENCES), unique_by=lambda r: r.id, max_size=7).map(tuple)


@st.composite
def points(draw: st.DrawFn) -> tuple:
    space, pool = draw(spaces()), draw(pools)
    size = space.dimensions(pool)
    coordinate = st.floats(0, 1) | st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0])
    return space, pool, draw(st.lists(coordinate, min_size=size, max_size=size))


@given(points())
def test_any_point_is_an_action_of_the_space(case) -> None:
    space, pool, point = case
    action = space.from_unit(point, pool)
    assert space.contains(action, pool)
    assert action.params.feedback_start <= action.params.feedback_end
    assert type(action.params.denoising_steps) is int


@given(points())
def test_action_comes_back_from_the_unit_cube(case) -> None:
    space, pool, point = case
    action = space.from_unit(point, pool)
    back = space.to_unit(action, pool)
    assert all(-1e-12 <= x <= 1 + 1e-12 for x in back)
    again = space.from_unit([min(max(x, 0.0), 1.0) for x in back], pool)
    assert (again.liked, again.disliked) == (action.liked, action.disliked)
    assert again.strengths == action.strengths
    for name in PARAMETER_NAMES:
        expected = getattr(action.params, name)
        assert getattr(again.params, name) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(points())
def test_parameters_that_do_not_vary_keep_the_hand_settings(case) -> None:
    space, pool, point = case
    found = space.from_unit(point, pool).params
    for name in set(PARAMETER_NAMES) - set(space.parameters):
        assert getattr(found, name) == getattr(space.hand, name)


@given(points())
def test_caps_hold_and_the_hand_action_uses_the_pool_only(case) -> None:
    space, pool, point = case
    for action in (space.from_unit(point, pool), space.hand_action(pool)):
        assert len(action.liked) <= space.max_liked
        assert len(action.disliked) <= space.max_disliked
        assert set(space.strengths).issuperset(action.strengths.values())
        assert set(pool).issuperset((*action.liked, *action.disliked))


@pytest.mark.parametrize(
    ("domain", "position", "value"),
    [
        (Range(0.2, 0.6), 0.5, 0.4),
        (Range(0.2, 0.6), 0.0, 0.2),
        (Range(0.2, 0.6), 1.0, 0.6),
        (Range(0.01, 1.0, log=True), 0.5, 0.1),
        (Range(0.01, 1.0, log=True), 0.0, 0.01),
        (Range(0.01, 1.0, log=True), 1.0, 1.0),
        (Choice((3.0, 1.0, 7.5)), 0.5, 1.0),
        (Choice((3.0, 7.5)), 0.25, 3.0),
        (Choice((3.0, 7.5)), 0.75, 7.5),
    ],
)
def test_domain_maps_both_ways(domain, position, value) -> None:
    assert domain.from_unit(position) == pytest.approx(value)
    assert domain.to_unit(value) == pytest.approx(position)
    assert domain.from_unit(position) in domain


def test_choice_takes_its_last_value_at_one() -> None:
    assert Choice((3.0, 7.5)).from_unit(1.0) == 7.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, 0.5), "low must be below high, got 0.5 and 0.5"),
        ((0.8, 0.2), "low must be below high, got 0.8 and 0.2"),
        ((0.0, math.inf), "bounds must be finite, got 0.0 to inf"),
        ((math.nan, 1.0), "bounds must be finite, got nan to 1.0"),
        ((0.0, 1.0, True), "a log scale needs low above 0, got 0.0"),
        ((1e9, math.nextafter(1e9, 2e9), True), "too close"),
    ],
    ids=["equal", "reversed", "infinite", "nan", "log from zero", "log of neighbours"],
)
def test_bad_range_is_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        Range(*arguments)


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0, 1.0)], ids=["none", "one", "twice"])
def test_bad_choice_is_refused(values) -> None:
    with pytest.raises(ValueError, match="two or more different values"):
        Choice(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"domains": {"strength": Range(0, 1)}}, "unknown parameter 'strength'; known are"),
        ({"domains": {"feedback_end": Range(0, 1.2)}}, r"feedback_end must be in \[0, 1\]"),
        ({"domains": {"max_weight": Range(-1, 1)}}, "max_weight must be at least 0, got -1"),
        ({"domains": {"denoising_steps": Range(0, 9)}}, r"denoising_steps must be in \[1, 1000\]"),
        ({"domains": {"denoising_steps": Range(1.5, 9)}}, "denoising_steps must be a whole number"),
        ({"domains": {"prompt_dropout": Range(0, 1)}}, "prompt_dropout must be below 1"),
        ({"domains": {"denoising_steps": Choice((5, 7.5, 9))}}, "must be a whole number, got 7.5"),
        ({"domains": {"max_weight": Choice((0.1, math.nan, 0.5))}}, "max_weight must be finite"),
        ({"max_liked": -1}, "max_liked must be at least 0, got -1"),
        ({"max_disliked": -2}, "max_disliked must be at least 0, got -2"),
        ({"strengths": ()}, r"strengths must have 1 among them, .* got \[\]"),
        ({"strengths": (0.5, 2)}, "strengths must have 1 among them"),
        ({"strengths": (1, 2, 2.0)}, "strengths must be different numbers"),
        ({"strengths": (1, 0)}, "a strength must be finite and above 0, got 0"),
        ({"strengths": (1, math.inf)}, "a strength must be finite and above 0, got inf"),
        ({"strengths": (1, 2), "roles": False}, "let roles vary, too"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_space_is_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        ActionSpace(**settings)


@pytest.mark.parametrize(
    ("varying", "hand"),
    [
        ({"feedback_start": Range(0.9, 1.0)}, FabricParams(feedback_end=0.8)),
        ({"feedback_end": Range(0.0, 0.3)}, FabricParams(feedback_start=0.5)),
        ({"feedback_start": Choice((0.8, 0.9)), "feedback_end": Range(0.1, 0.5)}, FabricParams()),
    ],
    ids=["end fixed", "start fixed", "both vary"],
)
def test_window_that_can_never_be_valid_is_refused(varying, hand) -> None:
    with pytest.raises(ValueError, match="feedback_start must be able to stay below feedback_end"):
        ActionSpace(varying, hand)


def test_reversed_window_is_turned_round() -> None:
    space = ActionSpace({name: Range(0.0, 1.0) for name in ("feedback_start", "feedback_end")})
    found = space.from_unit([0.7, 0.4], ()).params
    assert (found.feedback_start, found.feedback_end) == (0.4, 0.7)


@pytest.mark.parametrize(
    ("varying", "hand", "point", "expected"),
    [
        ("feedback_end", FabricParams(feedback_start=0.5), 0.2, (0.5, 0.5)),
        ("feedback_end", FabricParams(feedback_start=0.5), 0.9, (0.5, 0.9)),
        ("feedback_start", FabricParams(feedback_end=0.6), 0.9, (0.6, 0.6)),
        ("feedback_start", FabricParams(feedback_end=0.6), 0.1, (0.1, 0.6)),
    ],
    ids=["start fixed, below", "start fixed, above", "end fixed, above", "end fixed, below"],
)
def test_fixed_end_of_the_window_stays(varying, hand, point, expected) -> None:
    found = ActionSpace({varying: Range(0.0, 1.0)}, hand).from_unit([point], ()).params
    assert (found.feedback_start, found.feedback_end) == expected


def test_window_of_two_choices_takes_the_next_best() -> None:
    window = {"feedback_start": Choice((0.2, 0.6)), "feedback_end": Choice((0.4, 0.5))}
    found = ActionSpace(window).from_unit([0.9, 0.9], ()).params
    assert (found.feedback_start, found.feedback_end) == (0.2, 0.5)


def test_whole_numbers_are_rounded() -> None:
    space = ActionSpace({"denoising_steps": Range(10, 20)})
    assert [space.from_unit([x], ()).params.denoising_steps for x in (0, 0.54, 0.56, 1)] == [
        *(10, 15, 16, 20)
    ]


def test_references_above_a_cap_become_unused_nearest_to_unused_first() -> None:
    space = ActionSpace({}, max_liked=2, max_disliked=1)
    pool = REFERENCES[:6]
    action = space.from_unit([0.7, 1.0, 0.9, 0.3, 0.0, 0.5], pool)
    assert action.liked == (pool[1], pool[2])
    assert action.disliked == (pool[4],)


def test_role_coordinates_are_thirds() -> None:
    space, pool = ActionSpace({}), REFERENCES[:3]
    action = Action(liked=(pool[2],), disliked=(pool[0],))
    assert space.to_unit(action, pool) == pytest.approx((1 / 6, 1 / 2, 5 / 6))


def test_strengths_part_the_thirds_the_strongest_outermost() -> None:
    space, pool = ActionSpace({}, strengths=(2, 0.5, 1)), REFERENCES[:1]
    places = [x / 18 for x in (1, 3, 5, 9, 13, 15, 17)]
    actions = [space.from_unit([x], pool) for x in places]
    assert [role_choice(action, pool[0]) for action in actions] == [
        *("disliked x2", "disliked", "disliked x0.5", "unused", "liked x0.5", "liked", "liked x2")
    ]
    assert [space.to_unit(action, pool)[0] for action in actions] == pytest.approx(places)
    assert list(space.role_choices) == [
        *("unused", "liked x0.5", "liked", "liked x2"),
        *("disliked x0.5", "disliked", "disliked x2"),
    ]


@given(pools, st.data())
def test_without_strengths_the_thirds_are_what_they_were(pool, data) -> None:
    """As before there were strengths, to the last bit."""
    space, order = ActionSpace({}), (Role.DISLIKED, Role.UNUSED, Role.LIKED)
    coordinate = st.floats(0, 1) | st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0])
    size = len(pool)
    point = data.draw(st.lists(coordinate, min_size=size, max_size=size))
    action = space.from_unit(point, pool)
    for x, one in zip(point, pool, strict=True):
        assert action.role(one) in (order[min(int(x * 3), 2)], Role.UNUSED)  # above a cap
    assert space.to_unit(action, pool) == tuple(
        (order.index(action.role(one)) + 0.5) / 3 for one in pool
    )
    assert not action.strengths


def test_where_a_cap_is_exceeded_the_weakest_go_first() -> None:
    space, pool = ActionSpace({}, max_liked=2, strengths=(1, 2, 4)), REFERENCES[:3]
    action = space.from_unit([17 / 18, 13 / 18, 15 / 18], pool)
    assert action.liked == (pool[0], pool[2])
    assert action.strengths == {pool[0].id: 4.0, pool[2].id: 2.0}


def test_strengths_of_named_roles() -> None:
    space, pool = ActionSpace(strengths=(1, 2)), REFERENCES[:3]
    roles = {pool[0].id: Role.LIKED, pool[1].id: Role.DISLIKED, pool[2].id: Role.UNUSED}
    action = space.action({}, roles, pool, {pool[1].id: 2.0, pool[2].id: 2.0})
    assert action.strengths == {pool[1].id: 2.0}
    assert space.contains(action, pool)
    assert not ActionSpace().contains(action, pool)
    assert not space.contains(replace(action, strengths={pool[1].id: 3.0}), pool)
    with pytest.raises(ValueError):
        ActionSpace().to_unit(action, pool)


def test_hand_action_has_the_hand_roles_up_to_the_caps() -> None:
    pool = tuple(reference(color, role=role) for color, role in zip(COLORS, [*Role] * 2, strict=0))
    action = ActionSpace(max_liked=1).hand_action(pool)
    assert action.params == FabricParams()
    assert action.liked == (pool[1],)
    assert action.disliked == (pool[2], pool[5])


def test_without_roles_references_keep_their_hand_roles() -> None:
    space = ActionSpace(roles=False)
    assert space.dimensions(REFERENCES) == len(DEFAULT_DOMAINS)
    action = space.from_unit([0.1, 0.5, 0.5, 0.5], REFERENCES)
    hand = space.hand_action(REFERENCES)
    assert (action.liked, action.disliked) == (hand.liked, hand.disliked)
    assert not space.contains(Action(action.params), REFERENCES)


@pytest.mark.parametrize(
    "point",
    [[], [0.5] * 3, [0.5] * 5, [0.5, 0.5, 0.5, 1.1], [-0.1] * 4, [math.nan] * 4],
    ids=["none", "too few", "too many", "above", "below", "nan"],
)
def test_bad_point_is_refused(point) -> None:
    with pytest.raises(ValueError, match=r"expected 4 coordinates in \[0, 1\], got"):
        ActionSpace().from_unit(point, ())


def test_action_from_named_values_keeps_the_rest_by_hand() -> None:
    pool = REFERENCES[:3]
    values = {"feedback_start": 0.9, "feedback_end": 0.2, "max_weight": 1.0}
    action = ActionSpace().action(values, {pool[1].id: Role.DISLIKED}, pool)
    found = action.params
    assert (found.feedback_start, found.feedback_end, found.max_weight) == (0.2, 0.9, 1.0)
    assert found.guidance_scale == FabricParams().guidance_scale
    assert (action.liked, action.disliked) == ((), (pool[1],))


@pytest.mark.parametrize(
    "action",
    [
        Action(FabricParams(guidance_scale=3.0)),
        Action(FabricParams(max_weight=1.6)),
        Action(liked=(reference("orange"),)),
        Action(liked=REFERENCES[:5]),
    ],
    ids=["fixed parameter", "out of bounds", "not in the pool", "above the cap"],
)
def test_action_outside_the_space_is_told(action) -> None:
    assert not ActionSpace().contains(action, REFERENCES)


def test_pool_is_checked() -> None:
    space = ActionSpace()
    space.check_pool(REFERENCES)
    twin = reference("red")
    with pytest.raises(ValueError, match="the same pixels twice: red, red"):
        space.check_pool([*REFERENCES, twin])
    sizes = itertools.product(range(1, 7), repeat=2)
    many = [reference("red", size) for size in itertools.islice(sizes, MAX_POOL + 1)]
    with pytest.raises(ValueError, match=f"may hold {MAX_POOL} references, got {MAX_POOL + 1}"):
        space.check_pool(many)
