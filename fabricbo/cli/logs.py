"""What commands say on stderr: lines for people, or one JSON object a line for programs."""

import json
import logging
import os
import sys
import warnings
from datetime import UTC, datetime
from enum import StrEnum

from rich.console import Console

from fabricbo.cli.consoles import asides

_FIELDS = ("study", "trial", "attempt", "status")
"""What a record may say besides its message."""
_log = logging.getLogger("fabricbo.cli")


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


def set_up(chosen: LogFormat, *, verbose: bool) -> None:
    """Set up logging; to be called before anything heavy is imported."""
    if chosen is LogFormat.JSON:
        _structured(verbose=verbose)
    else:
        logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(message)s")
    # A store is brought up to date once, and its owner should know where it is as it was.
    logging.getLogger("fabricbo.study.migrations").setLevel(logging.WARNING)
    if verbose:
        return
    if chosen is LogFormat.TEXT:
        logging.disable(logging.INFO)  # ax sets its own level when it is imported
    warnings.simplefilter("ignore")
    os.environ.setdefault("TQDM_DISABLE", "1")
    if os.environ.get("NO_COLOR"):
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _structured(*, verbose: bool) -> None:
    handler = _JsonHandler(sys.stderr)
    handler.setFormatter(JsonLine())
    if not verbose:
        handler.addFilter(_ours_or_serious)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.setLoggerClass(_ToRoot)


def _ours_or_serious(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] == "fabricbo" or record.levelno >= logging.ERROR


class _JsonHandler(logging.StreamHandler):  # type: ignore[type-arg]  # of whatever stderr is
    """Tells that log lines are for programs."""


class _ToRoot(logging.Logger):
    """Leaves out the handlers that libraries add to theirs, which write text."""

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        for handler in logging.getLogger().handlers:
            if record.levelno >= handler.level:
                handler.handle(record)


class JsonLine(logging.Formatter):
    """Writes a record as one JSON object."""

    study: str | None = None
    """That the command is about, once it is known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = {"study": self.study, **record.__dict__}
        line |= {name: known[name] for name in _FIELDS if known.get(name) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def is_structured() -> bool:
    """Tell whether log lines are for programs, so that nothing else belongs on stderr."""
    return _formatter() is not None


def name_study(name: str) -> None:
    """Have log lines name the study that the command is about."""
    formatter = _formatter()
    if formatter is not None:
        formatter.study = name


def _formatter() -> JsonLine | None:
    found = (h.formatter for h in logging.getLogger().handlers if isinstance(h, _JsonHandler))
    return next((one for one in found if isinstance(one, JsonLine)), None)


def messages() -> Console:
    """Return where people are told what goes on: nowhere, where log lines are for programs."""
    return asides(quiet=is_structured())


def say(console: Console, text: str, **about: object) -> None:
    """Tell people something; programs get it as a log line, with what it is about."""
    if is_structured():
        _log.info(text, extra=about)
    else:
        console.print(text, soft_wrap=True)


def complain(text: str, status: int) -> None:
    """Say why a command ends."""
    if is_structured():
        _log.error(text, extra={"status": status})
    else:
        print(f"error: {text}", file=sys.stderr)
