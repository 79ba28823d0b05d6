"""`fabricbo doctor` without a study: each thing that may be wrong is seen, and only then."""

import socket
import webbrowser
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from fabricbo import torchvision_compat
from fabricbo.cli import installing
from fabricbo.cli.app import app
from fabricbo.upkeep import machine, packages
from fabricbo.upkeep.checks import Check

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed of what `fabricbo` requires; a test may change it."""
    versions = {"fabricbo": "1.0", "torch": "2.6.0+cpu", "torchvision": "0.21", "uvicorn": "1.0"}
    needed = {
        "fabricbo": ["torch>=2.6", 'uvicorn>=0.38; extra == "web"', 'ray; extra == "dev"'],
        "torchvision": ["numpy", "torch==2.6.0"],
    }

    def version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    def requires(name: str) -> list[str]:
        version(name)
        return needed[name]

    monkeypatch.setattr(packages, "version", version)
    monkeypatch.setattr(packages, "requires", requires)
    return versions


def by_name(checks) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"torch": "2.5.1+cu121"}, "torch is 2.5.1+cu121, not >=2.6"),
        ({"torch": None}, "torch is not installed"),
        ({"fabricbo": None}, "fabricbo is not installed"),
    ],
    ids=["all well", "too old", "missing", "run from its sources"],
)
def test_packages_that_do_not_fit_are_wrong(installed, changed, said: str) -> None:
    for name, version in changed.items():
        installed.pop(name)
        installed.update({} if version is None else {name: version})
    found = by_name(packages.check_packages())["packages"]
    assert found.level == ("wrong" if said else "good")
    assert said in found.said


@pytest.mark.parametrize(
    ("loads", "level"), [(True, "good"), (False, "note"), (None, "wrong")], ids=str
)
def test_torchvision_that_does_not_fit_is_stood_in_for(
    installed, monkeypatch, loads: bool | None, level: str
) -> None:
    monkeypatch.setattr(torchvision_compat, "operators_load", lambda: loads)
    found = packages.check_torchvision()
    assert found.level == level
    assert ("torch==2.6.0" in found.mend) == (loads is False)


def test_extras_are_there_or_it_is_said_how_to_get_them(installed) -> None:
    assert by_name(packages.check_extras())["extra web"].level == "good"
    del installed["uvicorn"]
    found = by_name(packages.check_extras())
    assert (found["extra web"].level, found["extra web"].mend) == (
        "note",
        "pip install 'fabricbo[web]'",
    )
    assert "extra dev" not in found


@pytest.mark.parametrize(
    ("free", "level"),
    [(machine.ROOM, "good"), (machine.ROOM - 1, "note"), (machine.LEAST_ROOM - 1, "wrong")],
)
def test_room(tmp_path, monkeypatch, free: int, level: str) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _place: Usage(0, 0, free))
    found = by_name(machine.check_room(tmp_path / "not" / "there"))
    assert {check.level for check in found.values()} == {level}


def test_a_folder_that_cannot_be_written_is_wrong(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(machine.os, "access", lambda place, _how: place != tmp_path)
    assert by_name(machine.check_room(tmp_path / "studies"))["studies"].level == "wrong"


def test_a_port_that_is_taken_is_told(monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(machine, "PORT", server.getsockname()[1])
        (taken,) = machine.check_loopback()
    (free,) = machine.check_loopback()
    assert (taken.level, free.level) == ("note", "good")
    assert "--port 0" in taken.mend


def test_no_loopback_is_wrong(monkeypatch) -> None:
    def refuse(*_address: object, **_how: object) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(machine.socket, "create_server", refuse)
    (found,) = machine.check_loopback()
    assert (found.level, "no such device" in found.said) == ("wrong", True)


def test_no_browser_is_no_harm(monkeypatch) -> None:
    def none() -> None:
        raise webbrowser.Error("none")

    monkeypatch.setattr(machine.webbrowser, "get", none)
    assert machine.check_browser().level == "note"


def test_bundled_networks_that_are_cut_off_are_wrong(tmp_path, monkeypatch) -> None:
    assert machine.check_bundled().level == "good"
    whole = sorted(machine.checkpoint_folder().rglob("*.safetensors"))[0].read_bytes()
    folder = tmp_path / "demo" / "checkpoint"
    folder.mkdir(parents=True)
    monkeypatch.setattr(machine, "checkpoint_folder", lambda: folder)
    assert machine.check_bundled().level == "wrong"
    (folder / "unet.safetensors").write_bytes(whole[:-1])
    assert "unet.safetensors" in machine.check_bundled().said


def test_a_device_that_fails_is_wrong(monkeypatch) -> None:
    assert {check.name: check.level for check in machine.check_devices()}["cpu"] == "good"

    def fail(*_size: int, device: str) -> None:
        raise RuntimeError(f"{device} is out of order")

    monkeypatch.setattr(torch, "ones", fail)
    found = by_name(machine.check_devices())["cpu"]
    assert (found.level, "out of order" in found.said) == ("wrong", True)


def test_a_driver_whose_gpu_torch_does_not_find_is_told(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert by_name(machine.check_devices())["cuda"].level == "note"


@pytest.mark.parametrize(("level", "status"), [("note", 0), ("wrong", 1)])
def test_the_status_says_whether_anything_is_wrong(monkeypatch, level, status: int) -> None:
    checks = [Check("python", "good", "3"), Check("room", level, "none", "make room")]
    monkeypatch.setattr(installing, "check_installation", lambda _storage: iter(checks))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == status
    assert "make room" in done.stdout
    assert ("next: fabricbo demo" in done.stdout) == (status == 0)


def test_only_a_study_can_be_mended(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--mend"])
    assert (done.exit_code, "needs a study" in done.output) == (2, True)
