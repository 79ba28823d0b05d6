"""The image store: a file is there whole or not at all, and holds what its name says."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from fabricbo.imagefiles import pixel_hash, to_rgb
from fabricbo.study.images import images_of
from tests.files import file_of

RED = Image.new("RGB", (5, 3), "red")
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))


@given(pixels=SHAPES.flatmap(lambda shape: arrays(np.uint8, shape)))
def test_pixels_come_back(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> None:
    store = images_of(tmp_path_factory.mktemp("images"), None)
    image = Image.fromarray(pixels)
    identity = store.save(image)
    assert identity == pixel_hash(image)
    assert np.array_equal(np.asarray(store.load(identity)), pixels)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "1", "CMYK"])
def test_every_mode_is_kept_as_rgb(tmp_path: Path, mode: str) -> None:
    image = RED.convert(mode)
    store = images_of(tmp_path, None)
    assert np.array_equal(np.asarray(store.load(store.save(image))), np.asarray(to_rgb(image)))


def test_same_image_is_written_once(tmp_path: Path) -> None:
    store = images_of(tmp_path, None)
    identity = store.save(RED)
    written = file_of(store, identity).stat().st_mtime_ns
    assert store.save(RED.copy()) == identity
    assert file_of(store, identity).stat().st_mtime_ns == written
    assert files(tmp_path) == [file_of(store, identity)]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("step", ["save", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=repr)
def test_write_that_fails_leaves_no_file(tmp_path: Path, monkeypatch, step, error) -> None:
    def fail(*_args, **_kwargs) -> None:
        raise error

    owner = {"save": Image.Image, "fsync": os, "replace": Path}[step]
    store = images_of(tmp_path, None)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, fail)
        with pytest.raises(type(error)):
            store.save(RED)
    assert files(tmp_path) == []
    assert np.array_equal(np.asarray(store.load(store.save(RED))), np.asarray(RED))


def test_file_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch) -> None:
    calls = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append("sync"), fsync(number)))
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (calls.append("rename"), replace(path, to))
    )
    images_of(tmp_path, None).save(RED)
    assert calls[:2] == ["sync", "rename"]


def test_missing_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        images_of(tmp_path, None).load("0" * 32)


def test_other_pixels_under_a_name_are_noticed(tmp_path: Path) -> None:
    store = images_of(tmp_path, None)
    identity = store.save(RED)
    Image.new("RGB", RED.size, "blue").save(file_of(store, identity))
    with pytest.raises(ValueError, match=f"{identity}.png does not hold the pixels"):
        store.load(identity)


@pytest.mark.parametrize("length", [0, 20, 50])
def test_truncated_file_is_noticed(tmp_path: Path, length: int) -> None:
    store = images_of(tmp_path, None)
    identity = store.save(RED)
    path = file_of(store, identity)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"{identity}.png is no readable image"):
        store.load(identity)
