"""Where commands print what people read; prompts, names and reasons are text, not markup.

Rich leaves colours out where `NO_COLOR` is set or nobody looks.
"""

from rich.console import Console


def results() -> Console:
    """Return where commands print what they were asked for."""
    return Console(highlight=False, markup=False, emoji=False)


def asides(*, quiet: bool = False) -> Console:
    """Return where commands say what goes on meanwhile, and what is wrong."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, quiet=quiet)
