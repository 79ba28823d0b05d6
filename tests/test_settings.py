"""Settings: every wrong field is named, with what came and what is allowed."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricbo.records import FabricParams
from fabricbo.space import DEFAULT_DOMAINS, Choice, Range
from fabricbo.study.checked import SettingsError
from fabricbo.study.pool import check_pool
from fabricbo.study.settings import check_settings
from fabricbo.study.space_settings import RangeSettings, SpaceSettings
from tests.tiny import reference

LEAST = {"name": "cats", "prompt": "a cat"}
WEIGHTS = (
    "min_weight",
    "max_weight",
    "neg_scale",
    "pos_bottleneck_scale",
    "neg_bottleneck_scale",
    "guidance_scale",
)


def refusal(**changes) -> str:
    with pytest.raises(SettingsError) as caught:
        check_settings({**LEAST, **changes})
    return str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("name", "a cat", "pattern"),
        ("name", "../cats", "pattern"),
        ("name", "", "pattern"),
        ("name", "c" * 101, "pattern"),
        ("name", 5, "string"),
        ("prompt", "", "none empty"),
        ("prompt", 5, "a text"),
        ("negative_prompt", 1, "string"),
        ("rounds", 0, "greater than or equal to 1"),
        ("rounds", 1001, "less than or equal to 1000"),
        ("rounds", "four", "integer"),
        ("rounds", "4", "integer"),
        ("rounds", True, "integer"),
        ("trials", 0, "greater than or equal to 1"),
        ("trials", 2.5, "integer"),
        ("images", 65, "less than or equal to 64"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**32, "less than 4294967296"),
        ("storage", 5, "path"),
        ("pool", "folder", "must be a table"),
        ("space", 3, "must be a table"),
        ("checkpoint", 5, "must be a table"),
        ("objective", 5, "must be a table"),
    ],
)
def test_bad_value_names_field_what_came_and_what_is_allowed(field, value, allowed) -> None:
    message = refusal(**{field: value})
    assert message.startswith(f"{field}: ")
    assert allowed in message
    assert message.endswith(f", got {value!r}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed"),
    [
        ("checkpoint", "name", 5, "string"),
        ("checkpoint", "width", 100, "multiple of 8"),
        ("checkpoint", "width", 0, "greater than 0"),
        ("checkpoint", "height", "64", "integer"),
        ("checkpoint", "lora", 7, "path"),
        ("checkpoint", "config", 7, "path"),
        ("checkpoint", "reference_noise", "none", "'fixed' or 'fresh'"),
        ("checkpoint", "reference_fit", "pad", "'stretch' or 'crop'"),
        ("pool", "folder", 7, "path"),
        ("pool", "grow_liked", -1, "greater than or equal to 0"),
        ("pool", "grow_disliked", 33, "less than or equal to 32"),
        ("space", "roles", "yes", "boolean"),
        ("space", "max_liked", 33, "less than or equal to 32"),
        ("space", "max_disliked", -1, "greater than or equal to 0"),
        ("objective", "name", "", "at least 1 character"),
    ],
)
def test_bad_value_in_a_section_is_named(section, key, value, allowed) -> None:
    message = refusal(**{section: {key: value}})
    assert message.startswith(f"{section}.{key}: ")
    assert allowed in message
    assert message.endswith(f", got {value!r}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"promt": "a cat"}, "promt: unknown key"),
        ({"checkpoint": {"nam": "demo"}}, "checkpoint.nam: unknown key"),
        ({"pool": {"path": "x"}}, "pool.path: unknown key"),
        ({"space": {"strength": 1}}, "space: unknown key 'strength'; known are feedback_start, "),
        ({"space": {"parameters": {"strength": 1}}}, "space: unknown parameter 'strength'; known"),
        ({"space": {"max_weight": {"low": 0, "high": 1, "lg": True}}}, "max_weight.lg: unknown"),
        ({"space": {"max_weight": {"choices": [0, 1], "log": True}}}, "max_weight.log: unknown"),
        (
            {"space": {"max_weight": 0.5, "parameters": {"max_weight": [0, 1]}}},
            "max_weight is given twice, as [0, 1] and as 0.5",
        ),
    ],
    ids=["study", "checkpoint", "pool", "space", "parameters", "range", "choice", "twice"],
)
def test_unknown_or_repeated_key_is_named_at_every_level(changes, message) -> None:
    assert message in refusal(**changes)


@pytest.mark.parametrize("key", ["name", "prompt"])
def test_missing_key_is_named(key: str) -> None:
    with pytest.raises(SettingsError, match=f"^{key}: is required$"):
        check_settings({name: value for name, value in LEAST.items() if name != key})


def test_every_wrong_field_is_told_at_once() -> None:
    lines = refusal(rounds=0, images=0, pool={"grow_liked": -1}).splitlines()
    assert [line.split(":")[0] for line in lines] == ["rounds", "images", "pool.grow_liked"]


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-0.5, "must be at least 0, got -0.5"),
        (math.nan, "must be finite, got nan"),
        (math.inf, "must be finite, got inf"),
        ([-1, 1], "must be at least 0, got -1"),
        ([0.0, math.inf], "high: Input should be a finite number, got inf"),
        ({"choices": [0.5, -1]}, "must be at least 0, got -1"),
        ({"choices": [0.5, math.nan]}, "Input should be a finite number, got nan"),
    ],
    ids=str,
)
def test_weight_negative_or_not_finite_is_named(name: str, value, message: str) -> None:
    found = refusal(space={name: value})
    assert found.startswith(f"space: {name}")
    assert message in found


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"feedback_start": 0.9, "feedback_end": 0.1}, "must not exceed feedback_end, got 0.9 > 0"),
        ({"feedback_start": 0.9, "feedback_end": [0, 0.5]}, "at least 0.9 against at most 0.5"),
        ({"feedback_start": [0.6, 1], "feedback_end": 0.5}, "at least 0.6 against at most 0.5"),
        ({"feedback_start": 1.5}, "feedback_start must be in [0, 1], got 1.5"),
        ({"max_weight": [1, 0]}, "max_weight: low must be below high, got 1.0 and 0.0"),
        ({"max_weight": [1, 1]}, "max_weight: low must be below high, got 1.0 and 1.0"),
        ({"max_weight": [1]}, "max_weight must be [low, high], got [1]"),
        ({"max_weight": [0, 1, 2]}, "max_weight must be [low, high], got [0, 1, 2]"),
        ({"max_weight": ["0", 1]}, "max_weight.low: Input should be a valid number, got '0'"),
        ({"max_weight": "0.8"}, "max_weight must be a number, [low, high], a table"),
        ({"max_weight": True}, "got True"),
        ({"max_weight": {}}, "max_weight.low: is required; max_weight.high: is required"),
        ({"max_weight": {"low": 0, "high": 1, "log": True}}, "a log scale needs low above 0"),
        ({"max_weight": {"low": 0, "high": 1, "log": "yes"}}, "max_weight.log: Input should be"),
        ({"max_weight": {"choices": [1]}}, "max_weight: a choice needs two or more"),
        ({"denoising_steps": 20.5}, "denoising_steps must be a whole number, got 20.5"),
        ({"denoising_steps": [0, 10]}, "denoising_steps must be in [1, 1000], got 0"),
        ({"denoising_steps": 10**400}, "denoising_steps must be finite"),
        ({"prompt_dropout": [0, 1]}, "prompt_dropout must be below 1"),
        ({"parameters": 3}, "parameters must be a table, got 3"),
        ({"hand": {"strength": 1}}, "unknown parameter 'strength'; known are feedback_start"),
        ({"hand": {"max_weight": 2}}, "hand.max_weight is 2, outside of what max_weight may be"),
        ({"hand": {"max_weight": 1}, "max_weight": 0.5}, "but max_weight is fixed at 0.5"),
        ({"hand": {"denoising_steps": 20.5}}, "denoising_steps must be a whole number"),
    ],
    ids=str,
)
def test_bad_space_is_named(space, message) -> None:
    found = refusal(space=space)
    assert found.startswith("space: ")
    assert message in found


@pytest.mark.parametrize("value", [["gold"], {"a": 1}, None, math.nan, -math.inf], ids=str)
def test_bad_option_of_an_objective_is_named(value) -> None:
    message = refusal(objective={"name": "text-similarity", "text": value})
    assert message.startswith("objective: option 'text' must be text, a finite number, true or")
    assert message.endswith(f"got {value!r}")


def test_settings_that_are_no_table_are_refused() -> None:
    with pytest.raises(SettingsError, match="study: must be a table"):
        check_settings(["a cat"])  # type: ignore[arg-type]


def test_short_forms_of_parameters() -> None:
    space = check_settings(
        {
            **LEAST,
            "space": {
                "guidance_scale": 3,
                "denoising_steps": 10.0,
                "max_weight": [0, 2],
                "neg_scale": {"low": 0.01, "high": 1, "log": True},
                "prompt_dropout": {"choices": [0, 0.3]},
            },
        }
    ).space.to_space()
    assert space.domains == {
        "feedback_start": DEFAULT_DOMAINS["feedback_start"],
        "feedback_end": DEFAULT_DOMAINS["feedback_end"],
        "max_weight": Range(0.0, 2.0),
        "neg_scale": Range(0.01, 1.0, log=True),
        "prompt_dropout": Choice((0.0, 0.3)),
    }
    assert (space.hand.guidance_scale, space.hand.denoising_steps) == (3, 10)


def test_parameters_can_be_given_in_python() -> None:
    space = SpaceSettings(parameters={"max_weight": RangeSettings(low=0.0, high=2.0)})
    assert space == SpaceSettings.model_validate({"max_weight": [0, 2]})


def test_start_fixed_beyond_the_classic_end_moves_the_hand_window() -> None:
    hand = SpaceSettings.model_validate({"feedback_start": 0.9}).to_space().hand
    assert (hand.feedback_start, hand.feedback_end) == (0.9, 0.9)


def test_the_search_begins_at_hand_settings() -> None:
    given = {"hand": {"max_weight": 0.3, "feedback_start": 0.9, "denoising_steps": 10}}
    space = SpaceSettings.model_validate(given).to_space()
    assert space.domains == DEFAULT_DOMAINS
    assert space.hand == FabricParams(
        feedback_start=0.9, feedback_end=0.9, max_weight=0.3, denoising_steps=10
    )


def test_defaults_are_the_default_space_and_hand_settings() -> None:
    space = check_settings(LEAST).space.to_space()
    assert (space.domains, space.hand) == (DEFAULT_DOMAINS, FabricParams())


def test_checkpoint_and_objective_may_be_plain_names() -> None:
    settings = check_settings({**LEAST, "checkpoint": "owner/name", "objective": "colourfulness"})
    assert settings.checkpoint.name == "owner/name"
    (named,) = settings.objective
    assert (named.name, named.options) == ("colourfulness", {})


def test_options_of_an_objective_are_kept_as_they_are() -> None:
    options = {"text": "gold", "layer": 3, "factor": 0.5, "flip": True}
    settings = check_settings({**LEAST, "objective": {"name": "mine", **options}})
    (named,) = settings.objective
    assert named.options == options
    assert [type(v) for v in named.options.values()] == [str, int, float, bool]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        check_settings(LEAST).rounds = 2


@pytest.mark.parametrize("grows", [{}, {"grow_liked": 0, "grow_disliked": 0}], ids=str)
def test_roles_without_references_are_refused(grows) -> None:
    settings = check_settings({**LEAST, "space": {"roles": True}, "pool": grows})
    with pytest.raises(ValueError, match=r"space\.roles: there are no references; name a pool"):
        check_pool(settings, ())


@pytest.mark.parametrize(
    ("changes", "pool"),
    [
        ({"space": {"guidance_scale": [1, 9]}}, ()),
        ({"space": {"roles": False, "prompt_dropout": [0.0, 0.3]}}, ()),
        ({"space": {"roles": True}}, (reference("red"),)),
        ({"space": {"roles": True}, "pool": {"grow_liked": 1}}, ()),
    ],
    ids=["left open", "not asked for", "with a reference", "growing"],
)
def test_roles_that_make_sense_pass(changes, pool) -> None:
    check_pool(check_settings({**LEAST, **changes}), pool)


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing that varies changes an image without references"):
        check_pool(check_settings(LEAST), ())


WEIGHT = st.floats(0, 1e6)
PARAMETER = st.one_of(
    WEIGHT,
    st.tuples(WEIGHT, WEIGHT).filter(lambda pair: pair[0] < pair[1]).map(list),
    st.lists(WEIGHT, min_size=2, max_size=4, unique=True).map(lambda v: {"choices": v}),
)
SETTINGS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "prompt": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    },
    optional={
        "negative_prompt": st.text(st.characters(exclude_categories=["Cs"])),
        "rounds": st.integers(1, 1000),
        "trials": st.integers(1, 10_000),
        "images": st.integers(1, 64),
        "seed": st.integers(0, 2**32 - 1),
        "storage": st.sampled_from(["studies", "/tmp/studies", Path("here")]),
        "checkpoint": st.sampled_from(
            [
                "demo",
                {"name": "a/b", "width": 512, "lora": "x.safetensors", "reference_fit": "crop"},
            ]
        ),
        "objective": st.sampled_from(["mine", {"name": "m:f", "text": "a", "n": 3, "x": 0.5}]),
        "space": st.fixed_dictionaries(
            {}, optional={**dict.fromkeys(WEIGHTS, PARAMETER), "roles": st.booleans()}
        ),
        "pool": st.fixed_dictionaries(
            {}, optional={"folder": st.just("pool"), "grow_liked": st.integers(0, 32)}
        ),
    },
)


@given(SETTINGS)
def test_settings_round_trip_through_json(data) -> None:
    settings = check_settings(data)
    stored = json.dumps(settings.model_dump(mode="json"), allow_nan=False)
    again = check_settings(json.loads(stored))
    assert again == settings
    assert again.space.to_space() == settings.space.to_space()
