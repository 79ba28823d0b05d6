"""Fixtures that several test modules use; shape annotations are checked in the tests only."""

import os
import shutil
import signal
import tempfile

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that puts us into the background has its children ignore Ctrl-C, and theirs as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if (
    "TMPDIR" not in os.environ
    and os.access("/dev/shm", os.W_OK)
    and shutil.disk_usage("/dev/shm").free > 2**32
):
    # A study waits for the disk after all that it stores. Nothing of a test outlives the machine,
    # so its files may lie in memory. Not by `TMPDIR`: what Ray leaves behind there stays on disk.
    tempfile.tempdir = "/dev/shm"

os.environ["HF_HUB_OFFLINE"] = "1"
# On a busy machine of few cores one thread is several times faster than two.
os.environ["OMP_NUM_THREADS"] = "1"

from jaxtyping import install_import_hook

_TENSOR_MODULES = (
    *("attention", "decoding", "feedback", "hook", "inputs"),
    *("noise", "previews", "reference_pass", "references", "surgery"),
)
install_import_hook([f"fabricbo.sampler.{m}" for m in _TENSOR_MODULES], "beartype.beartype")

from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from fabricbo.study.location import Location, schema_of  # noqa: E402
from tests import browsers  # noqa: E402
from tests import postgres as postgres_server  # noqa: E402
from tests.tiny import tiny_pipeline  # noqa: E402

# A busy machine is no reason for a property to fail.
settings.register_profile(
    "fabricbo", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("fabricbo")


@pytest.fixture(scope="session")
def session_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_pipeline(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def pipeline(session_pipeline: Any) -> Iterator[Any]:
    """The tiny pipeline; a test may change its scheduler."""
    scheduler = session_pipeline.scheduler
    yield session_pipeline
    session_pipeline.scheduler = scheduler


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium."""
    if not browsers.CHROMIUM.exists():
        pytest.skip(f"no {browsers.CHROMIUM}: make test installs it")
    with browsers.chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server, started once."""
    lacking = postgres_server.missing()
    if lacking is not None:
        pytest.skip(lacking)
    server = postgres_server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def store_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both databases, one after the other; new studies keep their rows there."""
    if request.param == "postgres":
        server: postgres_server.Server = request.getfixturevalue("postgres")

        def new(folder: Path, database: str | None) -> Location:
            url = database or server.database_for(folder.parent)
            return Location(folder, url, schema_of(folder.name))

        monkeypatch.setattr(Location, "new", new)
    return str(request.param)


@pytest.fixture
def file_store(store_kind: str) -> None:
    """For a test that looks into the file."""
    if store_kind != "sqlite":
        pytest.skip("this test is about the file of SQLite")
