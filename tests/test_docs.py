"""Every code block of README and docs runs."""

import contextlib
import re
import runpy
import shlex
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from fabricbo.demo import checkpoint_folder
from fabricbo.study import check_settings
from tests.commands import fabricbo

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block and where it stands."""

    page: str
    line: int
    language: str
    text: str


def _blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in _BLOCK.finditer(text):
            line = text[: match.start()].count("\n") + 1
            found.append(Block(page.name, line, match[1], match[2]))
    return found


def _of(language: str) -> list[object]:
    chosen = [block for block in _blocks() if block.language == language]
    return [pytest.param(block, id=f"{block.page}:{block.line}") for block in chosen]


def test_every_block_has_a_language_that_is_tested() -> None:
    assert {block.language for block in _blocks()} <= {"python", "toml", "sh", "text"}


@pytest.mark.parametrize("block", _of("python"))
def test_python(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "block.py"
    file.write_text(block.text, "utf-8")
    with contextlib.chdir(tmp_path), warnings.catch_warnings(action="ignore"):
        runpy.run_path(str(file), run_name="__main__")


@pytest.mark.parametrize("block", _of("toml"))
def test_toml_is_a_study(block: Block) -> None:
    settings = check_settings({"name": "documented", **tomllib.loads(block.text)})
    assert settings.space.to_space()


@pytest.mark.parametrize("block", _of("sh"))
def test_shell_commands_exist(block: Block) -> None:
    """`make` targets are there; options and commands of ours are known to the command line."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
        elif words[0] == "fabricbo":
            assert fabricbo(words[1], "--help").returncode == 0
        else:
            assert words[:2] == ["python", "-m"], line
            assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").is_file(), line


def test_commands_of_the_readme_run_in_their_order(tmp_path: Path) -> None:
    """The block on one's own study, run as a reader would; the study is made small first."""
    assert checkpoint_folder().is_dir()
    block = next(b for b in _blocks() if b.page == "README.md" and "fabricbo init" in b.text)
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "fabricbo"
        done = fabricbo(*words[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if words[1] == "init":
            _make_small(tmp_path / words[2])


def _make_small(file: Path) -> None:
    text = file.read_text("utf-8")
    for setting, value in {"rounds": 1, "trials": 1, "images": 2, "heldout": 2}.items():
        text = re.sub(rf"^{setting} = \d+", f"{setting} = {value}", text, flags=re.MULTILINE)
    file.write_text(text.replace("denoising_steps = 20", "denoising_steps = 4"), "utf-8")
