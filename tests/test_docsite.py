"""What the site makes of the code: references, links, notebooks."""

from pathlib import Path

import pytest
import yaml

from docsite.command_line import command_line
from docsite.links import OUTSIDE, loaded_elsewhere, relink
from docsite.python_api import python_api
from docsite.study_file import TABLES, meanings, study_file
from fabricbo.cli.app import app
from fabricbo.study.settings import StudySettings
from fabricbo.study.space_settings import SpaceSettings
from tests.documented import ROOT


@pytest.mark.parametrize(
    "model", [*(t.model for t in TABLES), SpaceSettings], ids=lambda m: m.__name__
)
def test_every_key_of_a_study_file_says_what_it_means(model: type) -> None:
    told = meanings(model)
    sections = {"checkpoint", "objective", "report_with", "rating", "space", "pool", "executor"}
    sections |= {"loggers", "gold", "parts"}
    assert set(model.model_fields) - sections <= set(told)


def test_the_reference_of_the_study_file_has_types_ranges_and_defaults() -> None:
    page = study_file()
    row = "| `images` | whole number from 1 to 64 | `4` | A trial and prompt;"
    assert row in page
    assert "| `prompt` | text or list of texts | required |" in page
    assert "| `over_prompts` | `mean` or `worst` | `mean` |" in page
    assert "| `blur` | boolean or text |  | Whether images" in page
    assert "| `max_weight` | varies in [0.0, 1.5] |" in page
    for name in StudySettings.model_fields:
        assert f"`{name}`" in page or f"[{name}]" in page


def test_the_reference_of_the_command_line_has_all_commands_and_their_options() -> None:
    page = command_line(app)
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert f"\n## {name}\n" in page
    assert "| `--port INT` | 0 takes a free one. Default: `8000`. |" in page
    assert "| `--to NAME` | What the new study is called. Required. |" in page
    assert "`fabricbo run STUDY.toml [OPTIONS]`" in page


def test_the_reference_of_python_has_all_public_names() -> None:
    assert "::: fabricbo.compose.create_study\n" in python_api()


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("index.md", "[a](docs/concepts.md#words)", "[a](concepts.md#words)"),
        ("index.md", "![a](docs/images/x.png)", "![a](images/x.png)"),
        ("index.md", "[a](CHANGELOG.md)", "[a](changes.md)"),
        ("demo.md", "[a](../fabricbo/demo/README.md)", "[a](demo-checkpoint.md)"),
        ("demo-checkpoint.md", "![a](../../docs/images/x.png)", "![a](images/x.png)"),
        ("continue.md", "[a](tutorials/continuing.py)", "[a](tutorials/continuing.md)"),
        ("reference/study-file.md", "[a](../rating.md)", "[a](../rating.md)"),
        ("index.md", "[a](https://example.org/docs/x.md)", "[a](https://example.org/docs/x.md)"),
        ("index.md", "[a](#below)", "[a](#below)"),
    ],
)
def test_links_of_the_repository_become_those_of_the_site(page, text, expected) -> None:
    assert relink(text, page) == expected


@pytest.mark.parametrize(
    ("html", "loaded"),
    [
        ('<script src="https://cdn.example/x.js">', ["https://cdn.example/x.js"]),
        ("<script async src=//cdn.example/x.js>", ["//cdn.example/x.js"]),
        ('<link rel="stylesheet" href="https://fonts.example/f">', ["https://fonts.example/f"]),
        ('<link href="https://fonts.example" rel="preconnect">', ["https://fonts.example"]),
        ('<pre class="mermaid">', ["Mermaid's script"]),
        ('<img src="images/x.png"><a href="https://example.org">there</a>', []),
    ],
)
def test_what_a_page_loads_from_other_hosts_is_found(html: str, loaded: list[str]) -> None:
    assert loaded_elsewhere(html) == loaded


def test_every_page_is_found_from_the_menu() -> None:
    class Loader(yaml.SafeLoader):
        """Reads names of Python objects as text: nothing is imported."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _, name, __: name)
    config = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)
    listed = {page for section in config["nav"] for page in _pages(section)}
    docs = ROOT / "docs"
    there = {str(page.relative_to(docs)) for page in docs.rglob("*.md")}
    there |= {f"tutorials/{page.stem}.md" for page in (docs / "tutorials").glob("*.py")}
    made = {f"reference/{name}.md" for name in ("study-file", "command-line", "python")}
    assert listed == there | made | set(OUTSIDE.values())


def _pages(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry
    return [page for value in values for page in _pages(value)]


NOTEBOOK = """
# %% [markdown]
# # Told

# %% alt="Red"
from PIL import Image

print("printed")
Image.new("RGB", (2, 2), "red")

# %%
40 + 2
"""


def test_a_notebook_is_executed_and_shown(tmp_path: Path) -> None:
    pytest.importorskip("jupytext")
    from docsite.notebooks import as_ipynb, as_markdown, execute

    file = tmp_path / "told.py"
    file.write_text(NOTEBOOK.lstrip(), "utf-8")
    notebook = execute(file)
    text, pictures = as_markdown(notebook)
    ((name, content),) = pictures.items()
    assert text.startswith("# Told")
    assert "```{.text .output}\nprinted\n```" in text
    assert f"![Red]({name})" in text
    assert content.startswith(b"\x89PNG")
    assert "```{.text .output}\n42\n```" in text
    assert '"image/png"' in as_ipynb(notebook)


def test_a_cell_that_raises_ends_the_build(tmp_path: Path) -> None:
    pytest.importorskip("jupytext")
    from docsite.notebooks import CellError, execute

    file = tmp_path / "told.py"
    file.write_text("# %%\n1 / 0\n", "utf-8")
    with pytest.raises(CellError, match="a cell raised ZeroDivisionError"):
        execute(file)
