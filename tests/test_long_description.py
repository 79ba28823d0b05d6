"""What package indices show of README.md: there, a relative link leads nowhere."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RELATIVE = re.compile(r"\]\((?!https?://)")


def test_the_built_description_has_no_relative_links() -> None:
    pytest.importorskip("hatchling")
    pytest.importorskip("hatch_fancy_pypi_readme")
    command = [sys.executable, "-m", "hatchling", "metadata", "readme"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert RELATIVE.search((ROOT / "README.md").read_text("utf-8"))
    assert not RELATIVE.search(text)
    assert "[FABRIC](https://arxiv.org/abs/2307.10159)" in text
    assert "installing." in text and "[installing]" not in text
    assert "![" not in text


def test_once_the_sources_have_an_address_links_lead_there() -> None:
    """The replacements that a comment in pyproject.toml names for that day."""
    source = (ROOT / "pyproject.toml").read_text("utf-8")
    hook = tomllib.loads(source)["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    image, link = (one["pattern"] for one in hook["substitutions"])
    address = "https://example.org/fabricbo"
    named = re.findall(r"'(!?\[\\1\]\(ADDRESS[^']+)'", source)
    to_image, to_link = (one.replace("ADDRESS", address) for one in named)
    readme = (ROOT / "README.md").read_text("utf-8")
    text = re.sub(link, to_link, re.sub(image, to_image, readme))
    assert f"]({address}/raw/v$HFPR_VERSION/docs/images/demo-grid.png)" in text
    assert f"[installing]({address}/blob/v$HFPR_VERSION/docs/installation.md)" in text
    assert not RELATIVE.search(text)
