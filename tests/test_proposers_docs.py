"""The code blocks of docs/proposers.md run."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "proposers.md"


def test_code_blocks_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {"__name__": "page"})
