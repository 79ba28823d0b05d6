"""`import fabricbo` and `fabricbo --help` are cheap; all public names resolve."""

import subprocess
import sys

import pytest

import fabricbo

HEAVY = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "ax",
    "botorch",
    "open_clip",
    "plotly",
)
LOADED = f"import sys; print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
HELP = """
import sys
from fabricbo.cli import main
sys.argv = ["fabricbo", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""


def heavy_modules_after(code: str) -> tuple[str, str]:
    """Run code in a fresh interpreter; return what it printed and the heavy modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LOADED}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout, done.stderr.strip()


def test_import_loads_nothing_heavy() -> None:
    assert heavy_modules_after("import fabricbo; fabricbo.__version__")[1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["rate", "--help"], ["demo", "--help"], ["--version"]],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    printed, loaded = heavy_modules_after(HELP.format(arguments=arguments))
    assert printed.strip()
    assert loaded == "[]"


def test_values_and_settings_load_nothing_heavy() -> None:
    code = "from fabricbo import ActionSpace, FabricParams, Range, Study, StudySettings"
    assert heavy_modules_after(code)[1] == "[]"


def test_the_rating_server_loads_nothing_heavy() -> None:
    code = "import fabricbo.cli.serving, fabricbo.rating.web.app"
    assert heavy_modules_after(code)[1] == "['plotly']"  # for the report on the owner's page


@pytest.mark.parametrize("name", fabricbo.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(fabricbo, name).__doc__
    assert name in dir(fabricbo)


@pytest.mark.parametrize(
    "before",
    ["import fabricbo.scoring", "from fabricbo import create_study, load_objective"],
)
def test_objective_is_a_function_whatever_was_imported_before(before: str) -> None:
    code = "from fabricbo import objective\nobjective(direction='minimize')"
    assert heavy_modules_after(f"{before}\n{code}")[1] == "[]"


def test_unknown_name_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'fabricbo' has no attribute 'Optimizer'"):
        fabricbo.Optimizer  # noqa: B018
