"""What all tables of a study file have in common: strict types, and errors in words."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class SettingsError(ValueError):
    """A setting is missing, unknown, of the wrong type or outside its range."""


class CheckedSettings(BaseModel):
    """A table of a study file."""

    # Strict: `rounds = "4"` or `roles = 1` is a mistake, and not for us to guess at.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    unsaid: ClassVar[frozenset[str]] = frozenset()
    """Fields that are kept and told only where they are not at their default, so that a study is
    stored as it was before there were such settings."""

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        for name in self.unsaid:
            if getattr(self, name) == type(self).model_fields[name].default:
                found.pop(name, None)
        return found


def explain(detail: Any, *, numbered: bool = True) -> str:
    """Say in a line which field is wrong, what came and what is allowed.

    Args:
        detail: one of the errors of a `ValidationError`.
        numbered: whether places in a list belong to the name of the field.
    """
    path = [part for part in detail["loc"] if numbered or not isinstance(part, int)]
    field = ".".join(str(part) for part in path) or "study"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"{field}: unknown key"
    if detail["type"] == "missing":
        return f"{field}: is required"
    if detail["type"] == "model_type":
        return f"{field}: must be a table, got {detail['input']!r}"
    came = "" if detail["type"] == "value_error" else f", got {detail['input']!r}"
    return f"{field}: {message}{came}"
