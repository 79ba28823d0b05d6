"""The stand-ins for torchvision's operators: only where its library cannot load."""

import importlib.machinery
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fabricbo import torchvision_compat


class Recorder:
    """Stands in for `torch.library.Library`; remembers what is defined."""

    defined: list[str]

    def __init__(self, namespace: str, kind: str) -> None:
        assert (namespace, kind) == ("torchvision", "FRAGMENT")
        Recorder.defined = []

    def define(self, schema: str) -> None:
        self.defined.append(schema.partition("(")[0])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torchvision that is installed in a folder and not imported yet."""
    init = tmp_path / "torchvision" / "__init__.py"
    init.parent.mkdir()
    init.write_text("")
    spec = importlib.machinery.ModuleSpec("torchvision", None, origin=str(init))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    monkeypatch.setattr(torchvision_compat, "_declared", [])
    monkeypatch.setattr(torch.library, "Library", Recorder)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    Recorder.defined = []
    return init.parent


def loading(*, works: bool):
    def load(_path: str) -> None:
        if not works:
            raise OSError("undefined symbol")

    return load


def test_library_that_loads_changes_nothing(package: Path, monkeypatch) -> None:
    (package / "_C.so").write_bytes(b"")
    monkeypatch.setattr(torch.ops, "load_library", loading(works=True))
    torchvision_compat.ensure_importable()
    assert Recorder.defined == []
    assert torchvision_compat._declared == []


def test_library_that_does_not_load_is_stood_in_for_once(package: Path, monkeypatch) -> None:
    (package / "_C.so").write_bytes(b"")
    monkeypatch.setattr(torch.ops, "load_library", loading(works=False))
    torchvision_compat.ensure_importable()
    torchvision_compat.ensure_importable()
    assert Recorder.defined == ["nms", "qnms"]
    assert len(torchvision_compat._declared) == 1


def test_package_without_a_library_is_stood_in_for(package: Path) -> None:
    torchvision_compat.ensure_importable()
    assert Recorder.defined == ["nms", "qnms"]


def test_torchvision_that_is_imported_already_is_left_alone(package: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", object())
    torchvision_compat.ensure_importable()
    assert Recorder.defined == []


def test_missing_torchvision_is_left_alone(package: Path, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    torchvision_compat.ensure_importable()
    assert Recorder.defined == []


def test_torchvision_can_be_imported_afterwards() -> None:
    code = (
        "from fabricbo.torchvision_compat import ensure_importable; ensure_importable(); "
        "import torchvision, torchvision.transforms"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
