"""The settings of a study: what a study file holds, checked field by field.

This is the edge where data from outside (a TOML file, a stored row) become values; inside,
`ActionSpace` and the frozen records take over.
"""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    field_validator,
    model_validator,
)

from fabricbo.records import PARAMETER_NAMES, FabricParams
from fabricbo.space import DEFAULT_DOMAINS, MAX_POOL, ActionSpace, Choice, Domain, Range

Scalar = str | int | float | bool
File = Annotated[Path, Strict(False)]
"""A path; in a file it is text."""


class SettingsError(ValueError):
    """A setting is missing, unknown, of the wrong type or outside its range."""


class _Settings(BaseModel):
    # Strict: `rounds = "4"` or `roles = 1` is a mistake, and not for us to guess at.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class CheckpointSettings(_Settings):
    """Which network draws."""

    name: str = "demo"
    """`demo`, a folder in diffusers' format, a `.safetensors` file, or a hub id."""
    revision: str | None = None
    config: File | None = None
    lora: File | None = None
    width: Annotated[int, Field(gt=0, multiple_of=8)] | None = None
    height: Annotated[int, Field(gt=0, multiple_of=8)] | None = None
    reference_noise: Literal["fixed", "fresh"] = "fixed"
    reference_fit: Literal["stretch", "crop"] = "stretch"


class ObjectiveSettings(BaseModel):
    """Which objective scores; all keys but `name` are its options."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Scalar]

    name: str = Field(min_length=1)
    """An installed name, `module:function` or `file.py:function`."""

    @model_validator(mode="before")
    @classmethod
    def _check_options(cls, data: Any) -> Any:
        for key, value in data.items() if isinstance(data, Mapping) else ():
            if not isinstance(value, Scalar) or value in (math.inf, -math.inf) or value != value:
                raise ValueError(
                    f"option {key!r} must be text, a finite number, true or false, got {value!r}"
                )
        return data

    @property
    def options(self) -> Mapping[str, Scalar]:
        """Keyword arguments for the objective."""
        return dict(self.__pydantic_extra__ or {})


class PoolSettings(_Settings):
    """Where references come from."""

    folder: File | None = None
    """Images in it, and in `liked/` and `disliked/` below it, are the first pool; the subfolder
    tells their role under the hand settings (liked when in neither)."""
    grow_liked: int = Field(default=0, ge=0, le=MAX_POOL)
    """How many of a round's best images join the pool at its end."""
    grow_disliked: int = Field(default=0, ge=0, le=MAX_POOL)
    """How many of a round's worst images join the pool at its end."""

    @property
    def grows(self) -> bool:
        """Whether the pool grows at the end of a round."""
        return self.grow_liked + self.grow_disliked > 0


class RangeSettings(_Settings):
    """A parameter that varies between two bounds."""

    low: float
    high: float
    log: bool = False

    def domain(self) -> Range:
        """Return the domain that the action space knows."""
        return Range(self.low, self.high, self.log)


class ChoiceSettings(_Settings):
    """A parameter that takes one of some values."""

    choices: Annotated[tuple[float, ...], Strict(False)]

    def domain(self) -> Choice:
        """Return the domain that the action space knows."""
        return Choice(self.choices)


class SpaceSettings(_Settings):
    """What varies, and between which bounds; parameters that are not named keep a default."""

    parameters: dict[str, float | RangeSettings | ChoiceSettings] = Field(default_factory=dict)
    """By name: a number fixes it, `[low, high]` or a table with `low`, `high`, `log` or with
    `choices` lets it vary. In a study file they stand directly under `[space]`."""
    roles: bool | None = None
    """Whether the roles of references vary; None: when there are any."""
    max_liked: int = Field(default=4, ge=0, le=MAX_POOL)
    max_disliked: int = Field(default=4, ge=0, le=MAX_POOL)

    @model_validator(mode="before")
    @classmethod
    def _gather_parameters(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        nested = data.get("parameters", {})
        if not isinstance(nested, Mapping):
            raise ValueError(f"parameters must be a table, got {nested!r}")
        direct = {key: value for key, value in data.items() if key in PARAMETER_NAMES}
        named = {key: _parameter(key, value) for key, value in {**nested, **direct}.items()}
        rest = {key: value for key, value in data.items() if key not in PARAMETER_NAMES}
        unknown = sorted(set(rest) - set(cls.model_fields))
        if unknown:
            known = ", ".join((*PARAMETER_NAMES, "roles", "max_liked", "max_disliked"))
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
        hand = FabricParams.from_json({**_hand_window(fixed), **_whole(fixed)})
        return ActionSpace(
            domains=domains,
            hand=hand,
            roles=roles if self.roles is None else self.roles,
            max_liked=self.max_liked,
            max_disliked=self.max_disliked,
        )


class StudySettings(_Settings):
    """All that defines a study besides the images of its pool."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Letters, digits, `.`, `_` and `-`; also the name of its folder."""
    prompt: str = Field(min_length=1)
    negative_prompt: str = ""
    rounds: int = Field(default=4, ge=1, le=1000)
    trials: int = Field(default=6, ge=1, le=10_000)
    """A round; the first has the hand settings on top, or alone while there are no references."""
    images: int = Field(default=4, ge=1, le=64)
    """A trial; each has a seed of its own, common to all trials of a round."""
    heldout: int = Field(default=16, ge=0, le=1000)
    """How many images of baseline and best each are drawn at the end, with seeds that the search
    never saw; 0 leaves the comparison out."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    proposer: str = Field(default="fabricbo", min_length=1)
    """Who picks the actions: a name that `fabricbo.compose` knows, which checks it."""
    storage: File = Path("studies")
    """Folder that holds studies."""
    checkpoint: CheckpointSettings = Field(default_factory=CheckpointSettings)
    objective: ObjectiveSettings | None = None
    """None: the objective is handed over in Python."""
    space: SpaceSettings = Field(default_factory=SpaceSettings)
    pool: PoolSettings = Field(default_factory=PoolSettings)

    @field_validator("objective", "checkpoint", mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def folder(self) -> Path:
        """Where the study lies."""
        return self.storage / self.name


def check_settings(data: Mapping[str, Any]) -> StudySettings:
    """Turn data from outside into settings.

    Raises:
        SettingsError: names each field that is wrong, what came and what is allowed.
    """
    try:
        return StudySettings.model_validate(data)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(detail) for detail in error.errors())) from None


def _explain(detail: Any) -> str:
    field = ".".join(str(part) for part in detail["loc"]) or "study"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"{field}: unknown key"
    if detail["type"] == "missing":
        return f"{field}: is required"
    if detail["type"] == "model_type":
        return f"{field}: must be a table, got {detail['input']!r}"
    came = "" if detail["type"] == "value_error" else f", got {detail['input']!r}"
    return f"{field}: {message}{came}"


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
        explained = "; ".join(f"{name}.{_explain(detail)}" for detail in error.errors())
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
