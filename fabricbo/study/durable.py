"""Making files and their names survive a power cut."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make a renaming in a folder durable; Windows cannot open folders and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
