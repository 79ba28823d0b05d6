"""A real PostgreSQL server of our own: in a folder of ours, on a socket and on loopback."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

USER = "fabricbo"


def missing() -> str | None:
    """Say what is not here that a server needs; None where all is."""
    if program("initdb") is None:
        return "no PostgreSQL here: install Debian's postgresql, as `make test` does"
    if os.getuid() == 0 and _account() is None:
        return "PostgreSQL does not run as root, and there is no account `postgres`"
    return None


def program(name: str) -> str | None:
    """Return where a program of PostgreSQL lies; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def _account() -> "pwd.struct_passwd | None":
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


@dataclass
class Server:
    """A running server; each study gets a database of its own."""

    folder: Path
    port: int

    def url(self, name: str = "postgres", port: int | None = None) -> str:
        """Return the URL of a database, on loopback."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{port or self.port}/{name}"

    def database_for(self, folder: Path) -> str:
        """Return the URL of a database for the studies of a folder; it is made once."""
        name = f"t{sha256(str(folder).encode()).hexdigest()[:20]}"
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            known = sa.text("SELECT 1 FROM pg_database WHERE datname = :name")
            if connection.scalar(known, {"name": name}) is None:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.url(name)

    def control(self, *arguments: str) -> None:
        """Run `pg_ctl`."""
        log = self.folder / "log"
        command = ["-D", str(self.folder / "data"), "-l", str(log), "-w", *arguments]
        _run([program("pg_ctl") or "", *command])

    def stop(self) -> None:
        """End it, and forget all that it knew."""
        self.control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


def start(*, fsync: bool = False) -> Server:
    """Start a server with a new cluster.

    Args:
        fsync: whether it waits for the disk; nothing here outlives the machine, so that only
            who measures it need do so.
    """
    folder = Path(tempfile.mkdtemp(prefix="fabricbo-pg-"))
    account = _account()
    if os.getuid() == 0 and account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    _run([program("initdb") or "", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-N"])
    server = Server(folder, _free_port())
    server.control(
        "start",
        "-o",
        f"-p {server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
        # In files of its folder, not in memory that nobody frees after an immediate end.
        "-c dynamic_shared_memory_type=mmap "
        f"-c fsync={'on' if fsync else 'off'} -c max_connections=200",
    )
    return server


def _run(command: list[str]) -> None:
    as_root = os.getuid() == 0
    account = _account() if as_root else None
    more = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid}
    with tempfile.TemporaryFile("w+") as log:
        # Not a pipe: the server inherits it, and would keep it open.
        done = subprocess.run(command, stdout=log, stderr=log, cwd="/", check=False, **more)
        if done.returncode:
            log.seek(0)
            raise RuntimeError(f"{command[0]} failed: {log.read()}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
