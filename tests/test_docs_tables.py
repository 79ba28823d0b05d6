"""Tables of docs that come from kept runs are what the raw data say, figure by figure."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.documented import ROOT, blocks, run_module

_TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)


def _kept() -> list[object]:
    """Each command that tells kept runs, and the page and line where it stands."""
    return [
        pytest.param(command, block.page, block.line, id=f"{block.page}:{block.line}")
        for block in blocks()
        if block.language == "sh"
        for command in block.commands
        if " --kept" in command
    ]


def test_benchmarks_are_told_from_kept_runs() -> None:
    pages = {page for _, page, _ in (one.values for one in _kept())}
    assert pages == {"docs/benchmarks.md", "docs/paper.md", "docs/scaling.md"}


@pytest.mark.parametrize(("command", "page", "line"), _kept())
def test_tables_are_those_of_the_kept_runs(
    command: str,
    page: str,
    line: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = shlex.split(command)[2:]
    if "--figure" in words:  # drawing takes long, and is another test's
        place = words.index("--figure")
        del words[place : place + 2]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", words)
    run_module(words[0])
    told = [_rows(table) for table in _TABLE.findall(capsys.readouterr().out)]
    shown = [_rows(table) for table in _TABLE.findall(_section(ROOT / page, line))]
    assert shown
    for rows in shown:
        assert any(rows == of_command for of_command in told), "\n".join(rows)


def _rows(table: str) -> list[str]:
    return [re.sub(r" *\| *", "|", row) for row in table.splitlines() if set(row) - set("|- ")]


def _section(page: Path, line: int) -> str:
    """What follows a line, to the next heading of a table's kind."""
    rest = "\n".join(page.read_text("utf-8").splitlines()[line:]) + "\n"
    return re.split(r"^##+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]
