"""Completion for shells, asked as the installed script asks."""

import subprocess

import pytest
from typer.testing import CliRunner

from fabricbo.cli.app import app
from tests.fakes import fake_study
from tests.test_imports import heavy_modules_after


def offered(line: str, shell: str = "zsh") -> str:
    """Return what a shell is told when somebody presses Tab at the end of a line."""
    environment = {"_FABRICBO_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    environment["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    if shell == "bash":
        words = line.split(" ")
        environment |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = CliRunner().invoke(app, [], env=environment, prog_name="fabricbo")
    return done.stdout


@pytest.fixture
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "castle", "dog"):
        fake_study(tmp_path / "studies", name=name)
    fake_study(tmp_path / "else", name="candle")
    (tmp_path / "studies" / "card").mkdir()  # is no study


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["show", "resume", "doctor", "serve", "export"])
def test_names_of_studies(command: str) -> None:
    assert offered(f"fabricbo {command} ca", "bash").split() == ["castle", "cat"]


@pytest.mark.usefixtures("here")
def test_names_of_studies_where_they_are_kept() -> None:
    assert offered("fabricbo show --storage else c", "bash").split() == ["candle"]


@pytest.mark.parametrize(
    ("line", "expected", "other"),
    [
        ("fabricbo st", "status", "show"),
        ("fabricbo status --fo", "--follow", "--json"),
        ("fabricbo demo --task style-o", "style-only", "diversity"),
        ("fabricbo score --objective bright", "brightness", "aesthetic"),
        ("fabricbo fork cat --proposer sob", "sobol", "cmaes"),
        ("fabricbo export cat --what v", "votes", "pairs"),
        ("fabricbo run cat.toml --device cu", "cuda", "cpu"),
        ("fabricbo run cat.toml --executor r", "ray", "inline"),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_and_values(line: str, expected: str, other: str, shell: str) -> None:
    said = offered(line, shell)
    assert expected in said
    assert other not in said.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_to_install(shell: str) -> None:
    shown = CliRunner().invoke(
        app, [], env={"_FABRICBO_COMPLETE": f"source_{shell}"}, prog_name="fabricbo"
    )
    assert "_FABRICBO_COMPLETE" in shown.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=shown.stdout, text=True, check=True)


def test_nothing_heavy_is_loaded_for_it() -> None:
    code = (
        "import fabricbo.cli.completing as c; assert c.objectives('a'); assert c.proposers('s')\n"
        "import fabricbo.study.location"
    )
    assert heavy_modules_after(code)[1] == "[]"
