"""`fabricbo serve`: the pages on which people rate, and the worker beside them."""

import ipaddress
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fabricbo.cli.answers.upkeep import Serving
from fabricbo.cli.consoles import asides
from fabricbo.cli.errors import told
from fabricbo.cli.reading import locate
from fabricbo.cli.statuses import Status
from fabricbo.study import Study

_PATIENCE = 10.0
"""Seconds that a worker may take to finish its trial once the server is stopped."""
_console = asides()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and where people reach it."""

    host: str
    port: int
    public: str | None = None
    """As people write it, where something else stands in front."""

    def bind(self) -> socket.socket:
        """Take the port.

        Raises:
            ValueError: it is taken, or there is no such address.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        taken = socket.socket(family)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((self.host, self.port))
            taken.listen(128)  # who uses the link at once waits, and is not turned away
        except OSError as error:
            taken.close()
            raise ValueError(
                f"cannot listen on {self.host} port {self.port}: {error.strerror}; "
                "--port 0 takes a free one"
            ) from error
        return taken

    def hosts(self, port: int) -> frozenset[str]:
        """Return the names, with port, under which the server may be asked."""
        if self.public is not None:
            return frozenset({urlsplit(self.public).netloc})
        names = ["127.0.0.1", "localhost", "[::1]"] if self.is_loopback else [self.host]
        return frozenset({f"{name}:{port}" for name in names} | ({*names} if port == 80 else set()))

    @property
    def is_loopback(self) -> bool:
        """Whether nobody else can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def base(self, port: int) -> str:
        """Return what links begin with."""
        if self.public is not None:
            return self.public.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}"


def serve_study(
    name: str, storage: Path, address: Address, worker_device: str | None, *, as_json: bool
) -> None:
    """Serve until somebody stops it.

    Args:
        name: of the study, or its folder.
        storage: folder that studies are kept in.
        address: where to listen.
        worker_device: what the worker draws on; None: no worker.
        as_json: whether to print an answer for programs, too, once somebody may come.
    """
    with told():
        _check(address)
        study = Study.open(locate(name, storage))
        taken = address.bind()
    port = int(taken.getsockname()[1])
    token = study.ballots.add_rater("owner", "owner")
    link = f"{address.base(port)}/join/{token}"
    if as_json:
        print(Serving(study=str(study.folder), owner=link).to_json(), flush=True)
    _console.print(f"your page: {link}", soft_wrap=True)
    _console.print(f"{_there(study)}; Ctrl-C stops the server, everything is kept")
    # The server passes a signal on once it has closed; by default that would end us right there.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Status.TERMINATED))
    worker = None if worker_device is None else _start_worker(study.folder, worker_device)
    try:
        _run(study, address, taken, port)
    finally:
        if worker is not None:
            _end(worker)


def _there(study: Study) -> str:
    """Say what the owner finds on the page."""
    if study.settings.rating is None:
        return "the report, with new trials as they come"
    return "invite raters from there"


def _end(worker: "subprocess.Popen[bytes]") -> None:
    """Let a worker finish its trial, within reason: it goes on from what is stored anyway."""
    worker.terminate()
    try:
        worker.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _run(study: Study, address: Address, taken: socket.socket, port: int) -> None:
    import uvicorn

    from fabricbo.rating.web.app import make_app

    secure = address.public is not None and urlsplit(address.public).scheme == "https"
    app = make_app(study, address.hosts(port), secure=secure)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        use_colors=False if _console.no_color else None,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=[taken])


def _check(address: Address) -> None:
    if address.host in ("0.0.0.0", "::") and address.public is None:
        raise ValueError(
            f"--host {address.host} has no name of its own: say under which address people come, "
            "with --public"
        )
    if address.public is not None:
        parts = urlsplit(address.public)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
            raise ValueError(
                f"--public must be like https://rate.example.org, got {address.public}"
            )
    try:
        import fastapi  # noqa: F401
        import multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"pages need fabricbo[web]: pip install 'fabricbo[web]' ({error})"
        ) from error


def _start_worker(folder: Path, device: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "fabricbo", "resume", str(folder), "--device", device]
    return subprocess.Popen(command)
