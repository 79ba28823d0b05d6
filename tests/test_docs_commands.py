"""Every command of README and docs runs, or says why not.

Commands of ours run in this process, page by page and in order, in a folder with what the page
takes for granted: a small study at the bundled checkpoint, one that people judged, pictures. Study
files of the page are made small first.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from fabricbo import create_study
from fabricbo.cli.app import app
from fabricbo.demo import pool_folder, references_folder
from fabricbo.rating.assignment import next_task
from fabricbo.rating.sitting import new_rater
from fabricbo.study import Study
from tests.documented import PAGES, ROOT, Block, blocks, run_module
from tests.web_server import fill, rated_study

JUDGED = {"docs/rating.md", "docs/three-friends.md"}
"""Pages whose studies people judge."""
_SMALL = {"rounds": 1, "trials": 1, "images": 2, "heldout": 2}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study at the bundled checkpoint."""
    settings = {
        "name": "cat",
        "prompt": "a cat",
        "rounds": 3,
        "trials": 1,
        "images": 1,
        "heldout": 2,
        "storage": tmp_path_factory.mktemp("scored"),
        "objective": "brightness",
        "proposer": "sobol",
        "pool": {"folder": pool_folder()},
        "space": {"guidance_scale": 3.0, "denoising_steps": 2},
    }
    study = create_study(settings)
    study.run()
    study.hold_out()
    study.close()
    return study.folder


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which somebody answered two questions."""
    study = rated_study(tmp_path_factory.mktemp("judged"), name="cat")
    fill(study)
    rater = new_rater(study.ballots, "Ada")
    for place in range(2):
        task = next_task(study.ballots, study.settings, rater)
        assert task is not None
        study.ballots.vote(task, "left", str(place), 1.0)
    study.close()
    return study.folder


def _shell_pages() -> list[str]:
    return list(dict.fromkeys(b.page for b in blocks() if _runs(b) and "fabricbo " in b.text))


def _runs(block: Block) -> bool:
    return block.language == "sh" and block.reason is None


@pytest.mark.parametrize("page", _shell_pages())
def test_commands_of_a_page_run_in_their_order(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fabricbo").symlink_to(ROOT / "fabricbo")
    study = request.getfixturevalue("judged" if page in JUDGED else "scored")
    of_page = [block for block in blocks() if block.page == page]
    if not any("fabricbo init" in block.text for block in of_page):
        for name in ("cat", "friends") if page in JUDGED else ("cat",):
            shutil.copytree(study, tmp_path / "studies" / name)
    shutil.copytree(references_folder(), tmp_path / "pictures")
    files = [block.text for block in of_page if block.language == "toml"]
    for block in filter(_runs, of_page):
        for command in block.commands:
            words = shlex.split(command)
            if words[0] == "cp":
                subprocess.run(words, check=True)
            elif words[0] == "fabricbo":
                _prepare(words, files, study)
                _run(words[1:])


def _prepare(words: list[str], files: list[str], study: Path) -> None:
    """Put there what a command reads: the study file of its page, an image, other studies."""
    for word in words:
        if word.endswith(".toml") and words[1] == "run":
            _make_small(Path(word), files[0] if files else "")
        if word.endswith(".png") and not Path(word).exists():
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(next((study / "images").rglob("*.png")), word)
    if words[1] == "compare":
        for name in words[2:]:
            if not Path("studies", name).exists():
                shutil.copytree(study, Path("studies", name))


def _make_small(file: Path, otherwise: str) -> None:
    text = file.read_text("utf-8") if file.exists() else otherwise
    for setting, value in _SMALL.items():
        line = f"{setting} = {value}"
        text, found = re.subn(rf"^{setting} = \d+", line, text, flags=re.MULTILINE)
        if not found:
            text = f"{line}\n{text}"
    if "denoising_steps" not in text:
        text = text.replace("[space]\n", "[space]\ndenoising_steps = 4\n")
    text = re.sub(r"^denoising_steps = \d+", "denoising_steps = 4", text, flags=re.MULTILINE)
    assert tomllib.loads(text)["space"]["denoising_steps"] == 4
    file.write_text(text, "utf-8")


def _run(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, f"{arguments}: {result.output}"


class _ParsedError(Exception):
    """The command line of an experiment was understood."""


def _others() -> list[object]:
    """All other commands, those that are not run included."""
    return [
        pytest.param(command, block, id=f"{block.page}:{block.line}:{number}")
        for block in blocks()
        if block.language == "sh"
        for number, command in enumerate(block.commands)
        if not command.startswith("fabricbo ") or block.reason is not None
    ]


@pytest.mark.parametrize(("command", "block"), _others())
def test_other_commands_are_understood(
    command: str, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets of make are there; options of experiments, and of what is not run, are known."""
    words = shlex.split(command)
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text("utf-8")
        assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)
    elif words[0] == "fabricbo":
        _know_options(words)
    elif words[:2] == ["python", "-m"] and words[2].startswith("experiments."):
        _parse(words[2:], monkeypatch)
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] in ("cp", ".", "pip"), f"{block.page}:{block.line}: {command}"


def _know_options(words: list[str]) -> None:
    told = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    known = set(re.findall(r"--[\w-]+", told.output))
    assert {word for word in words if word.startswith("--")} <= known


def _parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: object) -> NoReturn:
        parse(parser, *given)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(_ParsedError):
        run_module(words[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_sentences_are_known(page: Path) -> None:
    for command in re.findall(r"(?<!`)`fabricbo ([a-z]+[^`]*)`", page.read_text("utf-8")):
        _know_options(["fabricbo", *shlex.split(command)])


def test_what_is_not_run_says_why() -> None:
    for block in blocks():
        if block.reason is not None:
            assert block.language == "sh"
            assert len(block.reason.split()) > 2
            for file in re.findall(r"tests/\w+\.py", block.reason):
                assert (ROOT / file).is_file()


def test_studies_of_the_fixtures_are_done(scored: Path, judged: Path) -> None:
    assert len(Study.open(scored).trials) == 4
    assert len(Study.open(judged).ballots.votes()) == 2
