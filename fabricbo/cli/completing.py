"""What a shell offers for an unfinished word: names of studies, tasks, objectives, proposers.

A shell waits for these, so what they need is imported when somebody asks, and none of it is heavy.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from fabricbo.demo.tasks import TASKS

Completion = Callable[[str], list[str]]


def studies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the studies of the storage that was named, or of the usual one."""
    from fabricbo.study.location import is_study

    storage = Path(ctx.params.get("storage") or "studies")
    return _beginning((f.name for f in sorted(storage.glob("*")) if is_study(f)), incomplete)


def _installed() -> Iterable[str]:
    from fabricbo.scoring import installed_objectives

    return installed_objectives()


def _proposers() -> Iterable[str]:
    from fabricbo.proposers.registry import PROPOSERS

    return PROPOSERS


def _among(names: Callable[[], Iterable[str]]) -> Completion:
    def complete(incomplete: str) -> list[str]:
        return _beginning(names(), incomplete)

    return complete


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


tasks = _among(lambda: TASKS)
objectives = _among(_installed)
proposers = _among(_proposers)
exported = _among(lambda: ("votes", "pairs", "images", "study"))
devices = _among(lambda: ("auto", "cpu", "cuda", "mps"))
executors = _among(lambda: ("inline", "ray"))
