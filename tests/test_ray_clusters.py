"""Studies drawn by clusters that others started: the same images as in one process."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from fabricbo.cli.statuses import Status
from fabricbo.study import Study
from tests.tiny import tiny_pipeline

REPOSITORY = Path(__file__).parent.parent
STUDY = """
prompt = "a cat"
rounds = 2
trials = 2
images = 2
heldout = 2
checkpoint = "tiny"
safety = false
proposer = "sobol"
[space]
denoising_steps = 2
guidance_scale = 2.0
[pool]
folder = "pool"
grow_liked = 1
[objective]
name = "colourfulness"
[executor]
ahead = 0  # decide as one process does: knowing all that came before
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass(frozen=True)
class Cluster:
    """A head that listens on this machine, for those who know its token."""

    port: int
    client_port: int
    token: str

    @property
    def environment(self) -> dict[str, str]:
        """For whoever is to be let in."""
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ADDRESS": f"127.0.0.1:{self.port}",
        }


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not among the test's own folders: a socket's path has room for about a hundred letters.
    place = tempfile.mkdtemp(prefix="fabricbo-ray-")
    found = Cluster(free_port(), free_port(), secrets.token_hex(32))
    head = [
        *("ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1"),
        *(f"--port={found.port}", f"--ray-client-server-port={found.client_port}"),
        *("--num-cpus=2", "--include-dashboard=false", f"--temp-dir={place}"),
    ]
    head[0] = str(Path(sys.executable).with_name("ray"))
    environment = {name: v for name, v in found.environment.items() if name != "RAY_ADDRESS"}
    process = subprocess.Popen(
        head, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for port in (found.port, found.client_port):
            wait_for(port, process)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # politely it takes half a minute
        process.wait()
        shutil.rmtree(place, ignore_errors=True)


def wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(240):
        assert process.poll() is None, "the cluster did not start"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"nobody listens on {port}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    tiny_pipeline(folder / "tokens").save_pretrained(folder / "tiny")
    for colour in ("red", "green"):
        file = folder / "pool" / f"{colour}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 20), colour).save(file)
    return folder


def run(place: Path, name: str, *options: str, **more) -> subprocess.CompletedProcess:
    file = place / f"{name}.toml"
    file.write_text(STUDY)
    command = [sys.executable, "-m", "fabricbo", "run", str(file), "--json", "--device", "cpu"]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, **more)


@pytest.fixture(scope="module")
def inline(place: Path) -> Study:
    done = run(place, "inline")
    assert done.returncode == 0, done.stderr
    return Study.open(place / "studies" / "inline")


def outcomes(study: Study) -> list[tuple]:
    return [(t.action, t.seeds, t.images, t.score) for t in study.trials]


@pytest.mark.parametrize("by", ["auto", "client"])
def test_a_cluster_draws_what_one_process_draws(place, inline, cluster, by) -> None:
    address = "auto" if by == "auto" else f"ray://127.0.0.1:{cluster.client_port}"
    options = ("--executor", "ray", "--address", address, "--workers", "1")
    for _ in range(3):  # Ray's own server for clients may not be up in time on a busy machine
        done = run(place, by, *options, env=cluster.environment)
        if done.returncode != Status.TRY_AGAIN:
            break
    assert done.returncode == 0, done.stderr
    study = Study.open(place / "studies" / by)
    assert outcomes(study) == outcomes(inline)
    assert study.heldout == inline.heldout
    assert json.loads(done.stdout)["best"] is not None
    assert {e.worker for e in study.events if str(e.status) == "drawn"} == {"ray worker 1"}


def test_who_does_not_know_the_token_is_told_so(place, cluster) -> None:
    environment = {**cluster.environment, "RAY_AUTH_TOKEN": "0" * 64}
    options = ("--executor", "ray", "--address", "auto", "--workers", "1")
    done = run(place, "stranger", *options, env=environment)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "no Ray cluster at auto" in done.stderr
    assert not (place / "studies" / "stranger").exists()
