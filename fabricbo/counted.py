"""Saying how far something long has come, to whoever asked."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
Counter = Callable[[int, int], None]
"""Is told how many pieces are done, and of how many."""


def uncounted(_done: int, _total: int, /) -> None:
    """Tell nobody."""


def counted(pieces: Sequence[T], tell: Counter) -> Iterator[T]:
    """Go through pieces, and say of each that it is done once the next one is asked for."""
    for number, piece in enumerate(pieces):
        tell(number, len(pieces))
        yield piece
    tell(len(pieces), len(pieces))
