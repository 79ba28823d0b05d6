"""Proposers: who picks the next action.

Names are loaded when they are first used, so that importing this package loads neither
torch nor ax.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fabricbo.proposers.ax_proposer import AxProposer
    from fabricbo.proposers.baselines import HandProposer, RandomProposer, SobolProposer

__all__ = ["AxProposer", "HandProposer", "RandomProposer", "SobolProposer"]

_MODULES = {
    "AxProposer": "ax_proposer",
    "HandProposer": "baselines",
    "RandomProposer": "baselines",
    "SobolProposer": "baselines",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
