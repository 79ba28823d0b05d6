"""What is public is listed, documented, kept, and typed."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fabricbo
from tests.public_api import KEPT, ROOT, found, promised, public_lines

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONSUMER = ROOT / "tests" / "consumer"


def test_the_page_has_all_that_the_package_names() -> None:
    own = {name for name in promised() if name.count(".") == 1}
    assert own == {f"fabricbo.{name}" for name in fabricbo.__all__}
    assert [*fabricbo.__all__] == sorted(fabricbo.__all__)


@pytest.mark.parametrize("name", promised())
def test_what_the_page_says_is_what_the_name_says_of_itself(name: str) -> None:
    value, said = found(name), promised()[name]
    if isinstance(value, type) or callable(value):
        assert (value.__doc__ or "").strip().splitlines()[0] == said


def test_nothing_public_goes_unnoticed() -> None:
    kept, now = KEPT.read_text("utf-8").splitlines(), public_lines()
    gone, new = sorted({*kept} - {*now}), sorted({*now} - {*kept})
    assert not gone, f"gone or changed; docs/api.md says how that is done: {gone}"
    assert not new, f"new; python -m tests.public_api keeps it: {new}"


def imported_names(code: str) -> set[str]:
    """Return what Python code takes from us, as dotted names."""
    tree = ast.parse(code)
    from_ = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    return {
        f"{one.module}.{name.name}"
        for one in from_
        if one.module is not None and one.module.split(".")[0] == "fabricbo"
        for name in one.names
    }


def homes(name: str) -> set[str]:
    """Return a name under all the modules that promise the same thing."""
    return {one for one in promised() if found(one) is found(name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_documentation_uses_is_promised(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    used = {name for block in blocks for name in imported_names(block)}
    assert {name for name in used if not homes(name)} == set()


def test_the_version_is_semantic_and_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == fabricbo.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", fabricbo.__version__)
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## (\d+\.\d+\.\d+)", changes, re.MULTILINE)[1] == fabricbo.__version__


@pytest.mark.slow
def test_a_project_that_uses_it_is_checked_strictly(tmp_path: Path) -> None:
    """As somebody has it who installed the package: its types come from there, by `py.typed`."""
    assert (ROOT / "fabricbo" / "py.typed").is_file()
    site = tmp_path / "site"
    site.mkdir()
    (site / "fabricbo").symlink_to(ROOT / "fabricbo")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(CONSUMER / "mypy.ini"), str(CONSUMER)],
        env={
            **os.environ,
            "MYPYPATH": str(site),
            "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "consumer"),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    said = re.findall(r"^\S+/(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    wrong = CONSUMER / "mistakes.py"
    lines = enumerate(wrong.read_text("utf-8").splitlines(), start=1)
    marked = [(wrong.name, str(n), m[1]) for n, t in lines if (m := re.search(r"# E: (\S+)", t))]
    assert marked
    assert {*said} == {*marked}, done.stdout + done.stderr
