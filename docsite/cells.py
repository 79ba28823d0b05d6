"""Cells of Markdown tables."""


def cell(text: str) -> str:
    """Return text as one cell: in one line, its bars kept."""
    return " ".join(text.split()).replace("|", "\\|")
