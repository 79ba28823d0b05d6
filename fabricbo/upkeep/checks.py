"""What a check of this installation found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    """wrong: something will fail. note: something is worth knowing, or can be had."""
    said: str
    """What was found."""
    mend: str = ""
    """What to do about it, where something can be done."""
