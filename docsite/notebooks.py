"""Notebooks in jupytext's percent format, executed, as Markdown and as .ipynb.

Cells run in this process, in IPython's shell, one notebook after the other: what they import is
loaded once.
"""

import base64
import tempfile
from contextlib import chdir
from hashlib import sha256
from pathlib import Path
from typing import Any

import jupytext
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat import NotebookNode
from nbformat.v4 import new_output
from traitlets.config import Config

_PLAIN = Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": "nocolor"})


class CellError(RuntimeError):
    """A cell raised."""


def execute(file: Path) -> NotebookNode:
    """Run a notebook's cells in an empty folder; return it with their outputs.

    Raises:
        CellError: a cell raised; names the notebook and shows the cell.
    """
    notebook = jupytext.read(file)
    shell = InteractiveShell.instance(config=_PLAIN)
    shell.reset(new_session=False)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = _run(shell, cell.source, file)
    return notebook


def _run(shell: InteractiveShell, source: str, file: Path) -> list[Any]:
    # The trap first: else a cell would put the hook back that prints its last value.
    with shell.display_trap, capture_output() as captured:
        done = shell.run_cell(source, silent=False)
    error = done.error_before_exec or done.error_in_exec
    if error is not None:
        raise CellError(f"{file}: a cell raised {error!r}:\n{source}\n{captured.stdout}") from error
    outputs = []
    if captured.stdout:
        outputs.append(new_output("stream", name="stdout", text=captured.stdout))
    for rich in captured.outputs:
        outputs.append(new_output("display_data", data=_encoded(rich.data)))
    return outputs


def _encoded(data: dict[str, Any]) -> dict[str, Any]:
    """Bytes as nbformat wants them."""
    return {
        kind: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for kind, value in data.items()
    }


def as_markdown(notebook: NotebookNode) -> tuple[str, dict[str, bytes]]:
    """Return Markdown, and the pictures that it shows, by the name that it uses for them."""
    lines: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            lines += [cell.source, ""]
            continue
        lines += [f"```python\n{cell.source}\n```", ""]
        for output in cell.get("outputs", ()):
            lines += [_shown(output, cell.metadata.get("alt", ""), pictures), ""]
    return "\n".join(lines), pictures


def _shown(output: Any, alternative: str, pictures: dict[str, bytes]) -> str:
    if output.output_type == "stream":
        return f"```{{.text .output}}\n{output.text.rstrip()}\n```"
    if "image/png" in output.data:
        name = f"{sha256(output.data['image/png'].encode()).hexdigest()[:16]}.png"
        pictures[name] = base64.b64decode(output.data["image/png"])
        return f"![{alternative}]({name})"
    return f"```{{.text .output}}\n{output.data['text/plain'].rstrip()}\n```"


def as_ipynb(notebook: NotebookNode) -> str:
    """Return the executed notebook as a file of Jupyter's."""
    return str(jupytext.writes(notebook, fmt="ipynb"))
