"""Where a study goes on from, if it did not begin by itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ForkedFrom:
    """A round of another study."""

    name: str
    """Of the other study."""
    round: int
    """The last one that was taken over."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """Settings that were others until then, as they were: they explain the rounds taken over."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ForkedFrom":
        """Read what `to_json` wrote."""
        return cls(**data)

    def __str__(self) -> str:
        """Return it in words."""
        changed = ", ".join(f"{name} was {value}" for name, value in self.before.items())
        return f"round {self.round} of {self.name}" + (f"; until then {changed}" if changed else "")
