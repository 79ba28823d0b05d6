"""Hooks of MkDocs: pages that are made at build, links, notebooks."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docsite import links
from docsite.command_line import command_line
from docsite.notebooks import as_ipynb, as_markdown, execute
from docsite.python_api import python_api
from docsite.study_file import study_file
from fabricbo.cli.app import app

_NOTEBOOKS = "tutorials"
_log = logging.getLogger("mkdocs.hooks.docsite")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    root = Path(config.config_file_path).parent
    logging.getLogger("ax").setLevel(logging.WARNING)
    for name, content in _made(root):
        files.append(File.generated(config, name, content=content))
    for file in list(files):
        if file.src_uri.startswith(f"{_NOTEBOOKS}/") and file.src_uri.endswith(".py"):
            files.remove(file)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Make links right that are right in the repository."""
    return links.relink(markdown, page.file.src_uri)


def on_post_page(output: str, page: Page, **_: Any) -> None:
    """Warn, which ends a strict build, of whatever a page would load from other hosts."""
    for address in links.loaded_elsewhere(output):
        _log.warning("%s would load %s; the site works offline", page.file.src_uri, address)


def _made(root: Path) -> Iterator[tuple[str, str | bytes]]:
    yield from links.texts(root).items()
    yield "reference/study-file.md", study_file()
    yield "reference/command-line.md", command_line(app)
    yield "reference/python.md", python_api()
    for source in sorted((root / "docs" / _NOTEBOOKS).glob("*.py")):
        notebook = execute(source)
        text, pictures = as_markdown(notebook)
        link = f"[Download this page as a notebook]({source.stem}.ipynb){{ download }}"
        yield f"{_NOTEBOOKS}/{source.stem}.md", f"{text}\n{link}\n"
        yield f"{_NOTEBOOKS}/{source.stem}.ipynb", as_ipynb(notebook)
        for name, content in pictures.items():
            yield f"{_NOTEBOOKS}/{name}", content
