"""Whether this machine has what a study needs: devices, room, a port, a browser."""

import os
import shutil
import socket
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from fabricbo.demo import checkpoint_folder
from fabricbo.upkeep.checks import Check

ROOM = 2 * 2**30
"""Bytes that should be free where images or checkpoints are kept; below it is worth knowing."""
LEAST_ROOM = 100 * 2**20
"""Bytes without which nothing goes."""
PORT = 8000
"""That `fabricbo serve` takes unless told otherwise."""


def check_devices() -> Iterator[Check]:
    """Have each device compute something."""
    import torch

    threads = f"{torch.get_num_threads()} of {os.cpu_count()} cores used by torch"
    yield _computes("cpu", threads)
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            said = f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
            yield _computes(f"cuda:{number}", said)
    elif shutil.which("nvidia-smi"):
        built = "for the CPU only" if torch.version.cuda is None else f"CUDA {torch.version.cuda}"
        yield Check(
            "cuda",
            "note",
            f"NVIDIA's driver is here, but this torch (built {built}) finds no GPU",
            "install the torch that pytorch.org/get-started names for this driver",
        )
    if torch.backends.mps.is_available():
        yield _computes("mps", "Apple's GPU")


def _computes(device: str, said: str) -> Check:
    import torch

    try:
        found = float((torch.ones(8, 8, device=device) @ torch.ones(8, 8, device=device)).sum())
    except RuntimeError as error:
        return Check(device, "wrong", f"{said}: {error}", "use --device cpu meanwhile")
    if found != 8**3:
        return Check(device, "wrong", f"{said}: computes {found} where it should be {8**3}")
    return Check(device, "good", said)


def check_bundled() -> Check:
    """Check whether the bundled networks are whole, as far as their files say."""
    from safetensors import SafetensorError, safe_open

    folder = checkpoint_folder().parent  # of scorers and all else that is bundled, too
    files = sorted(folder.rglob("*.safetensors"))
    for file in files:
        try:
            with safe_open(file, "pt") as opened:
                list(opened.keys())
        except (SafetensorError, OSError) as error:
            return Check("bundled model", "wrong", f"{file}: {error}", "install fabricbo again")
    if not files:
        return Check("bundled model", "wrong", f"is not in {folder}", "install fabricbo again")
    return Check("bundled model", "good", f"{len(files)} networks, whole")


def check_room(storage: Path) -> Iterator[Check]:
    """Check whether there is room for studies, checkpoints and what is temporary.

    Args:
        storage: folder that studies are kept in; it need not be there.
    """
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    offline = ", and nothing is fetched: HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else ""
    yield _room("studies", storage)
    yield _room("checkpoints", Path(HF_HUB_CACHE), offline)
    yield _room("temporary files", Path(tempfile.gettempdir()))


def _room(what: str, folder: Path, more: str = "") -> Check:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    said = f"{folder}: {free / 2**30:.1f} GiB free{more}"
    if not os.access(there, os.W_OK):
        return Check(what, "wrong", f"{folder} cannot be written to", "name another folder")
    if free < LEAST_ROOM:
        return Check(what, "wrong", said, "make room")
    if free < ROOM:
        return Check(what, "note", said, "make room before a checkpoint is fetched: it takes more")
    return Check(what, "good", said)


def check_loopback() -> Iterator[Check]:
    """Check whether pages can be served to this machine."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        yield Check("loopback", "wrong", f"127.0.0.1 cannot be served on: {error}")
        return
    try:
        with socket.create_server(("127.0.0.1", PORT)):
            pass
    except OSError:
        said = f"port {PORT} is taken"
        yield Check("loopback", "note", said, "fabricbo serve STUDY --port 0 takes a free one")
    else:
        yield Check("loopback", "good", f"port {PORT} is free")


def check_browser() -> Check:
    """Say whether there is a browser; pages can be opened elsewhere, too."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        said = "none is here: open pages and links on another machine, or rate at a terminal"
        return Check("browser", "note", said)
    return Check("browser", "good", getattr(found, "name", type(found).__name__))
