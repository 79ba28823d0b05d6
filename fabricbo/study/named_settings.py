"""Tables of a study file that name something, and hold its options: objectives and loggers."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Scalar = str | int | float | bool


class NamedSettings(BaseModel):
    """What is named; all keys that are not fields here or below are its options."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, strict=True)
    __pydantic_extra__: dict[str, Scalar]

    name: str = Field(min_length=1, pattern=r"[^:]$")
    """An installed name, `module:name` or `file.py:name`."""
    label: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_-]*)?$")
    """What it is called, and told from others of that name; what it is named unless given."""

    @property
    def called(self) -> str:
        """The label, or the last part of the name."""
        return self.label or self.name.rpartition(":")[2]

    @model_validator(mode="before")
    @classmethod
    def _check_options(cls, data: Any) -> Any:
        for key, value in data.items() if isinstance(data, Mapping) else ():
            if key in cls.model_fields:
                continue
            if not isinstance(value, Scalar) or value in (math.inf, -math.inf) or value != value:
                raise ValueError(
                    f"option {key!r} must be text, a finite number, true or false, got {value!r}"
                )
        return data

    @property
    def options(self) -> Mapping[str, Scalar]:
        """Keyword arguments for what is named."""
        return dict(self.__pydantic_extra__ or {})
