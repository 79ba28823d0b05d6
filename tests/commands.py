"""The command line and scripts, called in this process, which has imported all that they need.

A process of its own takes up to twelve seconds of processor time to import torch, diffusers and
Ax. What only one can show starts one: signals, kills, limits, and what is imported.
"""

import contextlib
import io
import logging
import runpy
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import typer.rich_utils  # noqa: F401  it asks once whether colours are forced, as a test does
from typer.testing import CliRunner

from fabricbo.cli.app import app


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def fabricbo(*words: object, cwd: Path | None = None) -> Ended:
    """Call the command line.

    Raises:
        Exception: what a user would see as a traceback.
    """
    with contextlib.chdir(cwd or Path.cwd()):
        result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def script(module: str, *words: object, cwd: Path | None = None) -> Ended:
    """Run a module as `python -W ignore -m` does.

    Raises:
        Exception: what a user would see as a traceback.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.object(sys, "argv", [module, *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="ignore"),
        _same_process(),
    ):
        status = _status_of(module)
    return Ended(status, out.getvalue(), err.getvalue())


def _status_of(module: str) -> int:
    """Run a module, and return what its process would end with."""
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    return 0


@contextlib.contextmanager
def _same_process() -> Iterator[None]:
    """Scripts tell torch how many threads it may use, and logging what not to say."""
    import torch

    threads, silenced = torch.get_num_threads(), logging.root.manager.disable
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        logging.disable(silenced)
