"""Proposers: who picks the next action.

Names are loaded when they are first used, so that importing this package loads none of torch,
ax and optuna.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fabricbo.proposers.ax_proposer import AxProposer
    from fabricbo.proposers.ax_stock import StockAxProposer
    from fabricbo.proposers.baselines import HandProposer, RandomProposer, SobolProposer
    from fabricbo.proposers.cma_es import CmaEsProposer
    from fabricbo.proposers.optuna_proposer import OptunaProposer
    from fabricbo.proposers.presets import PRESETS
    from fabricbo.proposers.registry import (
        PROPOSERS,
        ProposerError,
        check_proposer,
        check_task,
        make_proposer,
    )

__all__ = [
    "PRESETS",
    "PROPOSERS",
    "AxProposer",
    "CmaEsProposer",
    "HandProposer",
    "OptunaProposer",
    "ProposerError",
    "RandomProposer",
    "SobolProposer",
    "StockAxProposer",
    "check_proposer",
    "check_task",
    "make_proposer",
]

_MODULES = {
    "PRESETS": "presets",
    "PROPOSERS": "registry",
    "AxProposer": "ax_proposer",
    "CmaEsProposer": "cma_es",
    "HandProposer": "baselines",
    "OptunaProposer": "optuna_proposer",
    "ProposerError": "registry",
    "RandomProposer": "baselines",
    "SobolProposer": "baselines",
    "StockAxProposer": "ax_stock",
    "check_proposer": "registry",
    "check_task": "registry",
    "make_proposer": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
