"""Every code block of README and docs runs; those of shell commands in `test_docs_commands.py`."""

import tomllib
import warnings
from pathlib import Path

import pytest

from fabricbo.study import check_settings
from tests.documented import Block, blocks


def _of(language: str) -> list[object]:
    chosen = [block for block in blocks() if block.language == language]
    return [pytest.param(block, id=f"{block.page}:{block.line}") for block in chosen]


def test_every_block_has_a_language_that_is_tested() -> None:
    assert {block.language for block in blocks()} <= {"python", "toml", "sh", "text", "mermaid"}


@pytest.mark.parametrize("block", _of("python"))
def test_python(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(block.text, f"{block.page}:{block.line}", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("block", _of("toml"))
def test_toml_is_a_study(block: Block) -> None:
    settings = check_settings({"name": "documented", **tomllib.loads(block.text)})
    assert settings.space.to_space()
