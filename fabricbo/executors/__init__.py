"""Executors: who draws and scores."""

from fabricbo.executors.inline import InlineExecutor
from fabricbo.executors.work import (
    Crashed,
    Drawn,
    Executor,
    ExecutorError,
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
    "ExecutorError",
    "Failed",
    "InlineExecutor",
    "Report",
    "Scored",
    "Tools",
    "Work",
    "perform",
]
