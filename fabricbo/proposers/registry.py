"""The proposers that come with fabricbo, by name.

The protocol needs no registry: any object with `propose` is a proposer. The names are for study
files and benchmarks. What a proposer is made of is imported when it is made.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec

from fabricbo.proposers.baselines import HandProposer, RandomProposer, SobolProposer
from fabricbo.proposers.embeddings import Embed
from fabricbo.protocols import Proposer
from fabricbo.scores import Measure

logger = logging.getLogger(__name__)


class ProposerError(ValueError):
    """A proposer is not known, or what it needs is not installed."""


def make_proposer(name: str, embed: Embed | None = None) -> Proposer:
    """Make a proposer.

    Args:
        name: one of `PROPOSERS`.
        embed: images of references to embeddings, `n x d`, for a proposer that can use them.

    Raises:
        ProposerError: the name is not known, or what the proposer needs is not installed.
    """
    check_proposer(name)
    return _KINDS[name].make(embed)


def check_proposer(name: str) -> None:
    """Check that a proposer can be made, without loading anything.

    Raises:
        ProposerError: the name is not known, or what the proposer needs is not installed.
    """
    if name not in _KINDS:
        near = get_close_matches(name, _KINDS, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ProposerError(f"must be one of {', '.join(_KINDS)}, got {name!r}{hint}")
    missing = [module for module in _KINDS[name].needs if find_spec(module) is None]
    if missing:
        raise ProposerError(
            f"{name} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed; install what fabricbo leaves out: pip install 'fabricbo[optuna]'"
        )


def check_task(name: str, measures: Sequence[Measure], *, judged: bool) -> None:
    """Check that a known proposer can learn what a study is about.

    Args:
        name: one of `PROPOSERS`.
        measures: what objectives measure; nothing where only people say what is good.
        judged: whether people judge.

    Raises:
        ProposerError: it knows one objective only and there is more, or it would never hear what
            people say.
    """
    kind = _KINDS[name]
    if len(measures) > 1 and not kind.several:
        raise ProposerError(
            f"{name} takes one objective without bounds, got "
            f"{', '.join(measure.name for measure in measures)}; choose another one"
        )
    if not judged or kind.hears:
        return
    if not measures:
        raise ProposerError(
            f"{name} learns from scores only, and here people judge; choose fabricbo"
        )
    logger.warning("%s learns from scores only: what people prefer does not guide it", name)


@dataclass(frozen=True, slots=True)
class _Kind:
    does: str
    make: Callable[[Embed | None], Proposer]
    needs: tuple[str, ...] = ()
    """Modules of the extra `optuna`."""
    several: bool = True
    """Whether it takes several objectives and bounds."""
    hears: bool = False
    """Whether it learns from what people prefer, or does not learn at all."""


def _fabricbo(embed: Embed | None) -> Proposer:
    from fabricbo.proposers.ax_proposer import AxProposer

    return AxProposer(embed=embed)


def _ax(_: Embed | None) -> Proposer:
    from fabricbo.proposers.ax_stock import StockAxProposer

    return StockAxProposer()


def _optuna_tpe(_: Embed | None) -> Proposer:
    from fabricbo.proposers.optuna_proposer import OptunaProposer

    return OptunaProposer("tpe")


def _optuna_gp(_: Embed | None) -> Proposer:
    from fabricbo.proposers.optuna_proposer import OptunaProposer

    return OptunaProposer("gp")


def _cmaes(_: Embed | None) -> Proposer:
    from fabricbo.proposers.cma_es import CmaEsProposer

    return CmaEsProposer()


_KINDS: Mapping[str, _Kind] = {
    "fabricbo": _Kind("a Gaussian process that knows what a reference is", _fabricbo, hears=True),
    "hand": _Kind("the hand settings, always", lambda _: HandProposer(), hears=True),
    "random": _Kind("uniformly random actions", lambda _: RandomProposer(), hears=True),
    "sobol": _Kind("a scrambled Sobol sequence", lambda _: SobolProposer(), hears=True),
    "ax": _Kind("what Ax itself chooses for the search space", _ax),
    "optuna-tpe": _Kind("Optuna's Tree-structured Parzen Estimator", _optuna_tpe, ("optuna",)),
    "optuna-gp": _Kind("Optuna's Gaussian process", _optuna_gp, ("optuna",)),
    "cmaes": _Kind(
        "CMA-ES on the unit cube, by Optuna", _cmaes, ("optuna", "cmaes"), several=False
    ),
}

PROPOSERS: Mapping[str, str] = {name: kind.does for name, kind in _KINDS.items()}
"""What each proposer proposes after the hand settings, by name."""
