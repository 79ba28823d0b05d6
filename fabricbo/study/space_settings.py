"""What varies, as a study file says it: `[space]`."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, Strict, ValidationError, model_validator

from fabricbo.records import PARAMETER_NAMES, FabricParams
from fabricbo.space import DEFAULT_DOMAINS, MAX_POOL, ActionSpace, Choice, Domain, Range
from fabricbo.study.checked import CheckedSettings, explain


class RangeSettings(CheckedSettings):
    """A parameter that varies between two bounds."""

    low: float
    high: float
    log: bool = False

    def domain(self) -> Range:
        """Return the domain that the action space knows."""
        return Range(self.low, self.high, self.log)


class ChoiceSettings(CheckedSettings):
    """A parameter that takes one of some values."""

    choices: Annotated[tuple[float, ...], Strict(False)]

    def domain(self) -> Choice:
        """Return the domain that the action space knows."""
        return Choice(self.choices)


class SpaceSettings(CheckedSettings):
    """What varies, and between which bounds; parameters that are not named keep a default."""

    unsaid = frozenset({"strengths"})

    parameters: dict[str, float | RangeSettings | ChoiceSettings] = Field(default_factory=dict)
    """By name: a number fixes it, `[low, high]` or a table with `low`, `high`, `log` or with
    `choices` lets it vary. In a study file they stand directly under `[space]`."""
    hand: dict[str, float] = Field(default_factory=dict)
    """Hand settings by name: where the search begins with what varies. Those that are not named are
    the classic ones; see `fabricbo convert --to fabricbo`."""
    roles: bool | None = None
    """Whether the roles of references vary; None: when there are any."""
    max_liked: int = Field(default=4, ge=0, le=MAX_POOL)
    """Most liked references in one action."""
    max_disliked: int = Field(default=4, ge=0, le=MAX_POOL)
    """Most disliked references in one action."""
    strengths: Annotated[tuple[float, ...], Strict(False)] = (1.0,)
    """Factors on the weight of single references that the search chooses among, 1 one of them: a
    reference of strength 2 counts as two copies of it. FABRIC itself has none."""

    @model_validator(mode="before")
    @classmethod
    def _gather_parameters(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        nested = data.get("parameters", {})
        if not isinstance(nested, Mapping):
            raise ValueError(f"parameters must be a table, got {nested!r}")
        direct = {key: value for key, value in data.items() if key in PARAMETER_NAMES}
        twice = sorted(set(nested) & set(direct))
        if twice:
            raise ValueError(
                f"{twice[0]} is given twice, as {nested[twice[0]]!r} and as {direct[twice[0]]!r}"
            )
        named = {key: _parameter(key, value) for key, value in {**nested, **direct}.items()}
        rest = {key: value for key, value in data.items() if key not in PARAMETER_NAMES}
        unknown = sorted(set(rest) - set(cls.model_fields))
        if unknown:
            others = (name for name in cls.model_fields if name != "parameters")
            known = ", ".join((*PARAMETER_NAMES, *others))
            raise ValueError(f"unknown key {unknown[0]!r}; known are {known}")
        return {**rest, "parameters": named}

    @model_validator(mode="after")
    def _check_space(self) -> "SpaceSettings":
        self.to_space()
        return self

    def to_space(self, roles: bool = True) -> ActionSpace:
        """Return the action space.

        Args:
            roles: whether roles vary where the settings leave it open.
        """
        fixed = {k: v for k, v in self.parameters.items() if isinstance(v, int | float)}
        domains: dict[str, Domain] = {
            key: value for key, value in DEFAULT_DOMAINS.items() if key not in self.parameters
        }
        for key, value in self.parameters.items():
            if isinstance(value, RangeSettings | ChoiceSettings):
                domains[key] = _named(key, value)
        given = {**self.hand, **fixed}
        hand = FabricParams.from_json({**_hand_window(given), **_whole(given)})
        self._check_hand(fixed, domains)
        return ActionSpace(
            domains=domains,
            hand=hand,
            roles=roles if self.roles is None else self.roles,
            max_liked=self.max_liked,
            max_disliked=self.max_disliked,
            strengths=self.strengths,
        )

    def beginning_with(self, hand: Mapping[str, float]) -> "SpaceSettings":
        """Return the same with other hand settings than the classic ones.

        What the settings name stays; where they do not allow the others, all do.
        """
        fixed = {k for k, v in self.parameters.items() if isinstance(v, int | float)}
        more = {k: v for k, v in hand.items() if k not in fixed and k not in self.hand}
        try:
            return type(self).model_validate({**self.model_dump(), "hand": {**self.hand, **more}})
        except ValidationError:
            return self

    def _check_hand(self, fixed: Mapping[str, float], domains: Mapping[str, Domain]) -> None:
        for name, value in self.hand.items():
            if fixed.get(name, value) != value:
                raise ValueError(
                    f"hand.{name} is {value:g}, but {name} is fixed at {fixed[name]:g}"
                )
            if name in domains and value not in domains[name]:
                raise ValueError(f"hand.{name} is {value:g}, outside of what {name} may be")


def _parameter(name: str, value: Any) -> Any:
    """Read the short forms of a parameter."""
    if isinstance(value, RangeSettings | ChoiceSettings):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple | Mapping):
        raise ValueError(
            f"{name} must be a number, [low, high], a table with low and high (and log), or a "
            f"table with choices; got {value!r}"
        )
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise ValueError(f"{name} must be [low, high], got {value!r}")
        return _table(name, {"low": value[0], "high": value[1]})
    if isinstance(value, Mapping):
        return _table(name, value)
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise ValueError(f"{name} must be finite, got {value!r}")
    return value


def _table(name: str, value: Mapping[str, Any]) -> RangeSettings | ChoiceSettings:
    kind = ChoiceSettings if "choices" in value else RangeSettings
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        explained = "; ".join(f"{name}.{explain(detail)}" for detail in error.errors())
        raise ValueError(explained) from None


def _named(name: str, value: RangeSettings | ChoiceSettings) -> Domain:
    try:
        return value.domain()
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _hand_window(fixed: Mapping[str, float]) -> dict[str, float]:
    """Keep the classic window valid when one of its ends is fixed beyond the other."""
    classic = FabricParams()
    if "feedback_start" in fixed and "feedback_end" not in fixed:
        return {"feedback_end": max(classic.feedback_end, fixed["feedback_start"])}
    return {}


def _whole(fixed: Mapping[str, float]) -> dict[str, float]:
    """TOML's 20.0 and JSON's 20 are the same number of denoising steps."""
    return {
        key: int(value) if key == "denoising_steps" and value == int(value) else value
        for key, value in fixed.items()
    }
