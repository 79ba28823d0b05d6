"""Libraries that tell about themselves are silenced while we call them, and only then."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Silence a library's log below errors, and all warnings; put everything back at the end.

    Args:
        library: the name of its package, which its loggers begin with.
    """
    levels = {logger: logger.level for logger in _loggers(library)}
    try:
        for logger in levels:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _loggers(library: str) -> list[logging.Logger]:
    """Return the library's loggers; some libraries give each of them a level of its own."""
    named = logging.Logger.manager.loggerDict
    inner = [logging.getLogger(name) for name in list(named) if name.startswith(f"{library}.")]
    return [logging.getLogger(library), *inner]
