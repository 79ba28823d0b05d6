"""Which loggers are told what becomes of a study."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fabricbo.study.checked import Scalar, check_options


class LoggerSettings(BaseModel):
    """One of them; all keys but those below are its options."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, strict=True)
    __pydantic_extra__: dict[str, Scalar]

    name: str = Field(min_length=1, pattern=r"[^:]$")
    """`jsonl`, `tensorboard`, `wandb`, `mlflow`, `trackio`, `module:name` or `file.py:name`."""
    label: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_-]*)?$")
    """Tells two of the same name apart."""

    @property
    def called(self) -> str:
        """The label, or the last part of the name."""
        return self.label or self.name.rpartition(":")[2]

    @model_validator(mode="before")
    @classmethod
    def _check_options(cls, data: Any) -> Any:
        return check_options(data, cls.model_fields)

    @property
    def options(self) -> Mapping[str, Scalar]:
        """Keyword arguments for the logger."""
        return dict(self.__pydantic_extra__ or {})
