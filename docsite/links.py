"""Links that are right in the repository, made right on the site."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

OUTSIDE: Mapping[str, str] = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "fabricbo/demo/README.md": "demo-checkpoint.md",
}
"""Files of the repository that become pages of the site although they do not lie in docs/."""

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon))[^>]*"""
    r"""\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
)
_LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")


def source_of(page: str) -> str:
    """Return where in the repository a page's text lies."""
    found = [source for source, of in OUTSIDE.items() if of == page]
    return found[0] if found else f"docs/{page}"


def relink(text: str, page: str) -> str:
    """Return a page's Markdown with each relative link as the site needs it.

    Args:
        text: Markdown as it is in the repository.
        page: the page's path on the site, such as `reference/python.md`.
    """
    folder = posixpath.dirname(source_of(page))
    start = posixpath.dirname(page) or "."

    def moved(match: re.Match[str]) -> str:
        source = posixpath.normpath(posixpath.join(folder, match["target"]))
        if source in OUTSIDE:
            target = OUTSIDE[source]
        elif source.startswith("docs/"):
            target = re.sub(r"^(tutorials/.*)\.py$", r"\1.md", source.removeprefix("docs/"))
        else:
            return match[0]
        return posixpath.relpath(target, start) + (match["anchor"] or "")

    return _LINK.sub(moved, text)


def loaded_elsewhere(html: str) -> list[str]:
    """Return the addresses on other hosts that a page loads from by itself.

    A diagram that is left to Mermaid's script counts: the theme would fetch that.
    """
    found = [script or sheet for script, sheet in _LOADED.findall(html)]
    return [*found, *["Mermaid's script"] * ('class="mermaid"' in html)]


def texts(root: Path) -> dict[str, str]:
    """Return the Markdown of all pages that lie elsewhere, by their paths on the site."""
    return {page: (root / source).read_text("utf-8") for source, page in OUTSIDE.items()}
