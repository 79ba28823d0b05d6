"""A real `fabricbo serve` in a process of its own, and a worker with fake parts in this one."""

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fabricbo.rating.worker import Worker
from fabricbo.study import Parts, Study, check_settings
from tests.fakes import POOL, ColourSampler, UnitProposer


@dataclass
class Server:
    """A running server."""

    base: str
    owner_link: str
    process: "subprocess.Popen[str]"
    seconds: float
    """From its start until its first answer."""

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start(folder: Path, port: int = 0) -> Server:
    began = time.monotonic()
    command = [sys.executable, "-m", "fabricbo", "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    link = re.search(r"http://\S+/join/\S+", line)
    if link is None:
        raise RuntimeError(f"the server did not start: {line}{process.stderr.read()}")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    base = link[0].partition("/join/")[0]
    urllib.request.urlopen(f"{base}/favicon.ico", timeout=20).close()
    return Server(base, link[0], process, time.monotonic() - began)


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    server = start(folder)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(10)


def rated_study(storage: Path, objective=None, **settings) -> Study:
    """Make a study that people judge, of fake parts; an objective measures what is bounded."""
    values = {"name": "rated", "prompt": "a cat", "rounds": 2, "trials": 3, "images": 2}
    rating = {"repeats": 0.0, **settings.pop("rating", {})}
    checked = check_settings({**values, "storage": storage, "rating": rating, **settings})
    return Study.create(checked, Parts(UnitProposer(), ColourSampler(), objective), POOL)


@contextmanager
def working(study: Study) -> Iterator[threading.Thread]:
    """Have a worker draw and ask in the background."""
    enough = threading.Event()
    thread = threading.Thread(target=Worker(study).run, args=(enough.wait,), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        enough.set()
        thread.join(20)


def fill(study: Study) -> None:
    """Draw and ask as far as a worker would before anybody votes."""
    worker = Worker(study)
    while worker.step():
        pass
