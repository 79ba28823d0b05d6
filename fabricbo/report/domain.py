"""What the page needs to know of a parameter's domain."""

from typing import Protocol


class Domain(Protocol):
    """The values of a parameter, as an action space knows them."""

    def to_unit(self, value: float, /) -> float:
        """Map a value to [0, 1]."""

    def __contains__(self, value: float, /) -> bool: ...
