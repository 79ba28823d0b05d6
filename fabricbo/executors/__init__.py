"""Executors: who draws and scores."""

from fabricbo.executors.inline import InlineExecutor
from fabricbo.executors.work import (
    Crashed,
    Drawn,
    Executor,
    Failed,
    Report,
    Scored,
    Tools,
    Work,
    perform,
)

__all__ = [
    "Crashed",
    "Drawn",
    "Executor",
    "Failed",
    "InlineExecutor",
    "Report",
    "Scored",
    "Tools",
    "Work",
    "perform",
]
