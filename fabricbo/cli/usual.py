"""How long things took the last time, so that there is something to say while they go on.

Kept beside other caches of this user. Nothing depends on it: where it cannot be read or written,
nobody knows how long something will take.
"""

import json
import os
import tempfile
from pathlib import Path

MOST = 200
"""Things that are remembered; the oldest are forgotten."""


def usual_seconds(what: str) -> float | None:
    """Return how long something took the last time; None where nobody knows."""
    return _known().get(what)


def remember_seconds(what: str, seconds: float) -> None:
    """Remember how long something took."""
    known = _known()
    known.pop(what, None)
    kept = dict([*known.items(), (what, round(seconds, 1))][-MOST:])
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Commands that end at the same moment each write a whole file, and one of them stays.
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as part:
            json.dump(kept, part)
        Path(part.name).replace(file)
    except OSError:
        return


def _known() -> dict[str, float]:
    try:
        found = json.loads(_file().read_text("utf-8"))
        return {str(what): float(seconds) for what, seconds in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _file() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "fabricbo" / "seconds.json"
