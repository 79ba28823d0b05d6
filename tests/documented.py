"""The pages of README and docs, and the code blocks in them."""

import re
import runpy
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A code block and where it stands."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None
    """Why it is not run; None for one that is."""

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        bare = [re.sub(r"(^|\s)#.*", "", line).strip() for line in lines]
        return [line for line in bare if line]


@cache
def blocks() -> tuple[Block, ...]:
    """Return all code blocks, page by page."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in _BLOCK.finditer(text):
            line = text[: match.start()].count("\n") + 1
            name = str(page.relative_to(ROOT))
            found.append(Block(name, line, match["language"], match["text"], match["reason"]))
    return tuple(found)


def run_module(name: str) -> None:
    """Run a module in this process, as `python -m` would in another one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it may be imported already
        runpy.run_module(name, run_name="__main__")
