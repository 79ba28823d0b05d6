"""The Dockerfile: it copies what the build needs, and keeps the rules that matter most.

Docker itself is not asked: CI has none. Where hadolint is installed it has its say.
"""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer

from fabricbo.cli.app import app

ROOT = Path(__file__).parents[1]
FILE = ROOT / "Dockerfile"
# One instruction a line: what is continued is joined, comments are left out.
LINES = [
    line
    for line in re.sub(r"^#.*\n", "", FILE.read_text("utf-8"), flags=re.MULTILINE)
    .replace("\\\n", " ")
    .splitlines()
    if line
]


def of(instruction: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.split()[0] == instruction]


def copied() -> set[str]:
    words = [line.split() for line in of("COPY") if not line.startswith("--from")]
    return {source for one in words for source in one[:-1]}


def test_all_that_the_build_needs_is_copied() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    hatch, licences = settings["tool"]["hatch"], settings["project"]["license-files"]
    described = hatch["metadata"]["hooks"]["fancy-pypi-readme"]["fragments"]
    readme, packages = (one["path"] for one in described), hatch["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", *readme, *licences, *packages["packages"]}
    assert needed | {"constraints.txt"} == copied()
    assert all((ROOT / name).exists() for name in copied())


def test_nothing_else_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {line.removeprefix("!") for line in rules if line.startswith("!")} == copied()


def test_torch_is_the_one_of_the_constraints() -> None:
    constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert {"torch", "torchvision"} <= {line.partition("==")[0] for line in constraints}
    (torch,) = [line for line in of("RUN") if "download.pytorch.org" in line]
    assert '"https://download.pytorch.org/whl/${TORCH}"' in torch
    assert "TORCH=cpu" in of("ARG")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (chosen,) = [line.partition("=")[2] for line in of("ARG") if line.startswith("EXTRAS")]
    assert {*chosen.split(",")} <= {*extras["optional-dependencies"]}


def test_it_keeps_the_rules() -> None:
    assert all(re.search(r":\S*\d", line) or "${PYTHON}" in line for line in of("FROM"))
    assert not of("ADD")  # DL3020
    assert all(line.startswith(("/", '["/')) for line in of("WORKDIR"))  # DL3000
    assert LINES.index(f"USER {of('USER')[-1]}") > LINES.index(f"FROM {of('FROM')[-1]}")
    assert of("USER")[-1] not in ("root", "0")  # DL3002
    assert all(line.startswith("[") for line in (*of("CMD"), *of("ENTRYPOINT")))  # DL3025
    assert any("PIP_NO_CACHE_DIR=1" in line for line in of("ENV"))  # DL3042


def test_commands_of_its_comments_exist() -> None:
    known = typer.main.get_command(app).commands
    text = FILE.read_text("utf-8")
    named = re.findall(r"^#   docker run .* fabricbo (\w+)", text, re.MULTILINE)
    assert named
    assert {*named} <= {*known}
    options = {option for one in known["serve"].params for option in one.opts}
    (serve,) = re.findall(r"^# For `serve STUDY (.*)`", text, re.MULTILINE)
    assert {*re.findall(r"--[\w-]+", serve)} <= options


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", str(FILE)], check=True, timeout=60)
